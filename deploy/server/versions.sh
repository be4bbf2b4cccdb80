# shellcheck shell=bash
# Versions of P2C2G, each in a folder of its own; which one runs is a link.

versions=/opt/p2c2g/versions
current=/opt/p2c2g/current
rollback_notes=/opt/p2c2g/rollback.env
# Seconds within which a coordinator is ready, on a slow machine too.
readonly PATIENCE=120

# find_python: the machine's, where it is new enough.
find_python() {
    local each
    for each in python3 python3.13 python3.12 python3.11; do
        if "$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$each"
            return
        fi
    done
    return 1
}

running_version() { basename "$(readlink "$current" 2>/dev/null || echo none)"; }

# find_package: what is to be installed, as `package` for pip and `name` for its folder.
find_package() {
    if [ -n "$version" ]; then
        package="p2c2g[coordinator]==$version" name=$version
        return
    fi
    if [ -z "$wheel" ]; then
        local source
        source=$(dirname "$deploy")
        [ -f "$source/pyproject.toml" ] ||
            die "There is nothing here to install P2C2G from: give --wheel FILE or --version X, or run it from a whole copy of the project."
        if [ "$dry" = yes ]; then
            name='of this folder'
            return
        fi
        build=$(mktemp -d)
        trap 'rm -rf "$build"' EXIT
        "$(find_python)" -m venv "$build/venv" && "$build/venv/bin/pip" --quiet --disable-pip-version-check wheel \
            --no-deps --wheel-dir "$build" "$source" || die "No wheel could be built of $source."
        wheel=$(echo "$build"/*.whl)
    fi
    local number
    number=$(basename "$wheel") && number=${number#*-} && number=${number%%-*}
    # Two wheels may say that they are the same version.
    name=$number-$(sha256sum "$wheel" | cut -c1-10)
    package="p2c2g[coordinator] @ file://$(readlink -f "$wheel")"
}

# install_version: `package` into the folder of `name`, if it is not there.
install_version() {
    [ -e "$versions/$name/complete" ] || act "install P2C2G $name" install_package
}

install_package() {
    local target=$versions/$name constraints=()
    # The exact versions that this copy was tried with, where it is this copy that is installed.
    [ -z "${build:-}" ] || constraints=(-c "$(dirname "$deploy")/constraints.txt")
    rm -rf "$target"
    mkdir -p "$versions"
    "$(find_python)" -m venv "$target" &&
        "$target/bin/pip" --quiet --disable-pip-version-check install "${constraints[@]}" "$package" &&
        "$target/bin/p2c2g" --version >/dev/null &&
        touch "$target/complete"
}

switch_to() {
    ln -sfn "$versions/$1" "$current.new" && mv -fT "$current.new" "$current"
}

# is_ready: whether the coordinator, its database and its broker answer, as members see it.
is_ready() {
    local host=$domain
    [[ $domain != *:* ]] || host="[$domain]"
    curl --silent --fail --output /dev/null --max-time 5 --noproxy '*' --cacert "$tls/front-ca.crt" \
        --connect-to "::127.0.0.1:443" "https://$host/readyz"
}

wait_until_ready() {
    local deadline=$((SECONDS + PATIENCE))
    until is_ready; do
        [ $SECONDS -lt $deadline ] || return 1
        # It ends again and again.
        [ "$(systemctl show --property NRestarts --value p2c2g-coordinator.service)" -lt 8 ] || return 1
        sleep 1
    done
}

# forget_others NAME...: remove all versions but these.
forget_others() {
    local each
    for each in "$versions"/*; do
        [[ " $* " == *" ${each##*/} "* ]] || act "remove P2C2G ${each##*/}" rm -rf "$each"
    done
}

upgrade() {
    local before started=$SECONDS
    before=$(running_version)
    [ "$before" != none ] || die "There is no version here to upgrade from: run vps.sh without a command."
    find_package
    if [ "$name" = "$before" ]; then
        say "P2C2G $name runs here already."
        return
    fi
    install_version
    backup_database
    local dump revision
    dump=$(newest_backup) revision=$(schema)
    if [ "$dry" = yes ]; then
        say "  would switch from $before to $name, and back if it is not ready within $PATIENCE s"
        return
    fi
    switch_to "$name"
    printf 'before=%q dump=%q revision=%q\n' "$before" "$dump" "$revision" >"$rollback_notes"
    systemctl restart p2c2g-coordinator.service || true
    if wait_until_ready; then
        say "P2C2G $name runs, in place of $before, after $((SECONDS - started)) s: vps.sh rollback goes back."
        forget_others "$name" "$before"
        setup
        return
    fi
    say "P2C2G $name is not ready after $PATIENCE s; its log's last lines:"
    journalctl --unit p2c2g-coordinator.service --identifier p2c2g --lines 5 --output cat --no-pager || true
    restore_database=yes
    rollback
    die "P2C2G $name does not work here, and $before runs again."
}

rollback() {
    [ -e "$rollback_notes" ] || die "There is no version to go back to."
    local before='' dump='' revision='' left
    # shellcheck source=/dev/null
    . "$rollback_notes"
    left=$(running_version)
    [ -e "$versions/$before/complete" ] || die "The version before, $before, is not there any more."
    local keeps_data=yes
    [ "$(schema)" = "$revision" ] || keeps_data=no
    if [ $keeps_data = no ] && [ "$restore_database" = no ]; then
        die "$left keeps its data otherwise than $before: --restore-database takes the database as it was before the upgrade ($dump), and what came since is lost."
    fi
    if [ "$dry" = yes ]; then
        say "  would go back from $left to $before"
        return
    fi
    [ $keeps_data = yes ] || prepare_dump "$dump"
    systemctl stop p2c2g-coordinator.service
    switch_to "$before"
    [ $keeps_data = yes ] || take_prepared
    rm -f "$rollback_notes"
    systemctl start p2c2g-coordinator.service || true
    wait_until_ready || die "P2C2G $before is not ready after $PATIENCE s: journalctl -u p2c2g-coordinator says why."
    say "P2C2G $before runs, in place of $left."
}
