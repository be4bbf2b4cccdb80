# shellcheck shell=bash
# How the parts of vps.sh say and do: each step looks first, and changes only what is not so yet.

changes=0   # how many things were changed, or would be
dry=no

say() { printf '%s\n' "$*"; }

die() {
    printf 'vps.sh: %s\n' "$*" >&2
    exit 1
}

# For what was asked wrongly.
wrong() {
    printf 'vps.sh: %s\n' "$*" >&2
    exit 2
}

# act SENTENCE COMMAND...: do it, or with --dry-run say that it would be done.
act() {
    local sentence=$1
    shift
    changes=$((changes + 1))
    if [ "$dry" = yes ]; then
        say "  would $sentence"
        return
    fi
    say "  $sentence"
    "$@" || die "\"$sentence\" failed: $*"
}

# like FILE MODE OWNER:GROUP: whether it has these rights.
like() {
    [ "$(stat -c '%a %U:%G' "$1" 2>/dev/null)" = "$2 $3" ]
}

# put FILE MODE OWNER:GROUP < CONTENT: make a file what it has to be.  Returns 0 where it was
# changed, 1 where it was so already.
put() {
    local file=$1 mode=$2 owner=$3 new
    new=$(mktemp)
    cat >"$new"
    if cmp -s "$new" "$file" && like "$file" "$mode" "$owner"; then
        rm -f "$new"
        return 1
    fi
    act "write $file" place "$new" "$file" "$mode" "$owner"
    rm -f "$new"
}

# Whole or not at all, and never readable for others on the way.
place() {
    install -D -m 600 "$1" "$2.new" && chown "$4" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2"
}

folder() {
    like "$1" "$2" "$3" || act "make the folder $1" make_folder "$@"
}

make_folder() { mkdir -p "$1" && chown "$3" "$1" && chmod "$2" "$1"; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# at_least VERSION WANTED, as Debian counts.
at_least() { dpkg --compare-versions "$1" ge "$2"; }

# unit NAME: install a unit of ours from deploy/systemd.
unit() {
    if put "/etc/systemd/system/$1" 644 root:root <"$deploy/systemd/$1"; then
        reload_units=yes
    else
        return 1
    fi
}

units_read() {
    if [ "${reload_units:-no}" = yes ]; then
        [ "$dry" = yes ] || systemctl daemon-reload
        reload_units=no
    fi
}

# run_service NAME CHANGED: have it run now and after each start of the machine; again where what it
# reads was changed (yes).
run_service() {
    units_read
    systemctl is-enabled --quiet "$1" 2>/dev/null || act "enable $1" systemctl --quiet enable "$1"
    if ! systemctl is-active --quiet "$1" 2>/dev/null; then
        act "start $1" systemctl start "$1"
    elif [ "$2" = yes ]; then
        act "restart $1" systemctl restart "$1"
    fi
}

# as USER COMMAND...
as() {
    local user=$1
    shift
    (cd / && exec setpriv --reuid "$user" --regid "$user" --init-groups --reset-env -- "$@")
}
