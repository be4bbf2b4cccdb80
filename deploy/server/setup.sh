# shellcheck shell=bash
# Setting up: from packages to a coordinator that answers.  Each part can be run again.

etc=/etc/p2c2g

setup() {
    local started=$SECONDS reload_units=no broker_changed=no front_changed=no coordinator_changed=no
    check_ports
    packages
    users_and_folders
    own_copy
    first_version
    secrets_once
    own_certificates
    front_certificates
    broker
    database
    coordinator
    front
    firewall
    timers_and_logs
    public_certificate
    if [ "$dry" = yes ]; then
        say "$changes things would be changed."
        return
    fi
    wait_until_ready || die "The coordinator is not ready after $PATIENCE s: journalctl -u p2c2g-coordinator -u p2c2g-front says why."
    if [ "$changes" = 0 ]; then
        say "Nothing had to be changed: https://$domain answers."
    else
        say "https://$domain answers; $changes things were changed, in $((SECONDS - started)) s."
    fi
    next_steps
}

next_steps() {
    local first=/var/lib/p2c2g/coordinator/operator.key
    [ ! -e $first ] || say "Sign in there as its operator: the key is in $first; take it out of there."
    say "Let a peer in:   sudo p2c2g keys create anna --role peer --uses 1 --days 1"
    say "Let a gamer in:  sudo p2c2g keys create ben --role gamer"
    [ "$certificates" != own ] || say "Members need $tls/ca.crt, and name it as P2C2G_POOL_CA."
}

check_ports() {
    local port taken
    command -v ss >/dev/null && ! systemctl is-active --quiet p2c2g-front.service 2>/dev/null || return 0
    for port in 80 443 6390; do
        [ $port != 80 ] || [ "$certificates" = public ] || continue
        taken=$(ss -Hltnp "sport = :$port")
        [ -z "$taken" ] || die "Port $port is taken here (${taken##* }): a pool wants a server of its own, or docs/pools.md by hand."
    done
}

packages() {
    local wanted=(ca-certificates curl iproute2 libnginx-mod-stream nftables nginx openssl postgresql python3 python3-venv redis-server)
    local each
    missing=()
    [ "$certificates" != public ] || wanted+=(certbot)
    for each in "${wanted[@]}"; do
        installed "$each" || missing+=("$each")
    done
    [ ${#missing[@]} = 0 ] || act "install packages: ${missing[*]}" install_packages
    [ "$dry" = yes ] || find_python >/dev/null || die "There is no Python 3.11 or newer here: apt install one of them with its venv."
}

install_packages() {
    local each found
    apt-get --quiet --quiet update || return 1
    found=$(apt-cache policy redis-server | sed -n 's/^ *Candidate: //p')
    at_least "${found#*:}" 7.0 || die "The Redis of this system's packages is $found: an open pool needs 7.0."
    # They would start with settings of their own, and without a password: ours run instead.
    for each in nginx redis-server; do
        [[ " ${missing[*]} " != *" $each "* ]] || systemctl --quiet mask "$each.service" || return 1
    done
    apt-get --quiet --quiet --yes --no-install-recommends -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold install "${missing[@]}" >/dev/null
}

users_and_folders() {
    local each
    for each in p2c2g p2c2g-broker p2c2g-front; do
        id "$each" >/dev/null 2>&1 || act "make the user $each" useradd --system --user-group --no-create-home \
            --home-dir "/var/lib/$each" --shell /usr/sbin/nologin "$each"
    done
    folder $etc 755 root:root
    folder "$tls" 755 root:root
    folder $etc/front 755 root:root
    folder /opt/p2c2g 755 root:root
    folder /var/lib/p2c2g 700 p2c2g:p2c2g
    folder "$backups" 700 p2c2g:p2c2g
    [ "$certificates" != public ] || folder "$webroot" 755 root:root
    if put $etc/server.env 644 root:root < <(
        printf '# What vps.sh was told; it heeds it when it runs again.\n'
        printf '%s=%q\n' domain "$domain" certificates "$certificates" email "$email" acme_server "$acme_server" \
            ssh_ports "$ssh_ports" firewall "$firewall"
    ); then :; fi
}

# The timers' copy of these files, and the pool's commands as its coordinator's user.
own_copy() {
    local target=/opt/p2c2g/deploy
    [ "$deploy" = $target ] || diff -rq "$deploy" $target >/dev/null 2>&1 || act "copy these files to $target" copy_files $target
    if put /usr/local/bin/p2c2g 755 root:root <"$deploy/server/p2c2g"; then :; fi
}

copy_files() { rm -rf "$1" && cp -r "$deploy" "$1" && chown -R root:root "$1" && chmod -R go-w "$1"; }

# A version that is there stays: upgrade changes it.
first_version() {
    [ "$(running_version)" = none ] || return 0
    find_package
    install_version
    act "have P2C2G $name be the one that runs" switch_to "$name"
}

# The broker's password, made once; the broker has its hash alone.
secrets_once() {
    local password hash
    if [ ! -e $etc/broker.url ]; then
        password=$(openssl rand -hex 32)
        if put $etc/broker.url 640 root:p2c2g <<<"rediss://coordinator:$password@127.0.0.1:6391/0"; then coordinator_changed=yes; fi
    elif [ -r $etc/broker.url ]; then
        password=$(sed 's|.*coordinator:\([^@]*\)@.*|\1|' $etc/broker.url)
    fi
    hash=$(printf %s "${password:-}" | sha256sum | cut -d' ' -f1)
    if put $etc/users.acl 640 root:p2c2g-broker < <(
        printf 'user default off\nuser coordinator on #%s ~* &* +@all\n' "$hash"
    ); then broker_changed=yes; fi
}

broker() {
    local half
    # Half of the memory: PostgreSQL, the coordinator and the system have the rest.
    half=$(awk '/^MemTotal:/ { print int($2 / 1024 / 2 / 64) * 64 }' /proc/meminfo)
    if put $etc/redis.conf 640 root:p2c2g-broker < <(sed "s/^maxmemory 2gb$/maxmemory ${half}mb/" "$deploy/redis.conf"); then broker_changed=yes; fi
    if unit p2c2g-broker.service; then broker_changed=yes; fi
    run_service p2c2g-broker.service "$broker_changed"
}

database() {
    systemctl is-active --quiet postgresql.service 2>/dev/null || act "start postgresql.service" systemctl start postgresql.service
    [ "$dry" = yes ] || as postgres pg_isready --quiet --timeout 60 || die "PostgreSQL does not answer: pg_lsclusters says why."
    role_exists || act "make PostgreSQL's role p2c2g, without a password" as postgres createuser p2c2g
    database_exists p2c2g || act "make the database p2c2g" new_database p2c2g
}

coordinator() {
    local host=$domain
    [[ $domain != *:* ]] || host="[$domain]"
    if put $etc/coordinator.env 644 root:root < <(sed "s/pool\.example\.org/$host/" "$deploy/server/coordinator.env"); then coordinator_changed=yes; fi
    if unit p2c2g-coordinator.service; then coordinator_changed=yes; fi
    run_service p2c2g-coordinator.service "$coordinator_changed"
}

front() {
    local name changes_made=(-e "s/pool\.example\.org;/$domain;/"
        -e "s#/etc/letsencrypt/live/.*/fullchain.pem;#$tls/front.crt;#" -e "s#/etc/letsencrypt/live/.*/privkey.pem;#$tls/front.key;#")
    # Where there is no IPv6, nginx would not start.
    [ -e /proc/net/if_inet6 ] || changes_made+=(-e '/listen \[::\]/d')
    for name in http stream acme; do
        local target=$etc/front/${name/acme/http-acme}.conf
        if [ $name = acme ] && [ "$certificates" != public ]; then
            [ ! -e "$target" ] || act "remove $target" rm "$target"
            continue
        fi
        if put "$target" 644 root:root < <(sed "${changes_made[@]}" "$deploy/nginx-$name.conf"); then front_changed=yes; fi
    done
    if put $etc/nginx.conf 644 root:root <"$deploy/nginx.conf"; then front_changed=yes; fi
    if unit p2c2g-front.service; then front_changed=yes; fi
    run_service p2c2g-front.service "$front_changed"
}

# What lets this machine's operator in: sshd's ports, and the one that is used now.
open_ports() {
    local ports=$ssh_ports
    if [ -z "$ports" ]; then
        ports=$(sshd -T 2>/dev/null | awk '$1 == "port" { print $2 }')
        ports="${ports:-22} $(awk '{ print $4 }' <<<"${SSH_CONNECTION:-}")"
    fi
    [ "$certificates" != public ] || ports="$ports 80"
    # shellcheck disable=SC2086 # words
    printf '%s\n' $ports 443 6390 | sort -nu | paste -sd, | sed 's/,/, /g'
}

firewall() {
    local closes=$firewall changed=no
    if [ "$closes" = yes ] && { ufw status 2>/dev/null | grep -q '^Status: active' || systemctl is-active --quiet firewalld.service 2>/dev/null; }; then
        say "  There is a firewall here already, and it stays: let in TCP $(open_ports)."
        closes=no
    fi
    if put $etc/firewall-off.nft 644 root:root < <(
        for table in p2c2g p2c2g_server; do printf 'table inet %s\ndelete table inet %s\n' $table $table; done
    ); then changed=yes; fi
    if put $etc/firewall.nft 644 root:root < <(
        if [ "$closes" = yes ]; then
            sed "s/^define open = .*/define open = { $(open_ports) }/" "$deploy/nftables-server.conf"
        else
            printf 'table inet p2c2g_server\ndelete table inet p2c2g_server\n\n'
        fi
        cat "$deploy/nftables.conf"
    ); then changed=yes; fi
    [ "$dry" = yes ] || nft --check --file $etc/firewall.nft || die "nft refuses $etc/firewall.nft."
    if unit p2c2g-firewall.service; then changed=yes; fi
    run_service p2c2g-firewall.service $changed
}

timers_and_logs() {
    local name
    for name in backup certificates; do
        if unit p2c2g-$name.service; then :; fi
        if unit p2c2g-$name.timer; then :; fi
        run_service p2c2g-$name.timer no
    done
    if put /etc/systemd/journald.conf.d/p2c2g.conf 644 root:root <"$deploy/server/journald.conf"; then
        act "have the journal heed it" systemctl restart systemd-journald.service
    fi
}

status() {
    local each
    printf '%-14s%s\n' address "https://$domain" version "$(running_version)"
    [ ! -e "$rollback_notes" ] || printf '%-14s%s\n' before "$(sed -n 's/^before=\([^ ]*\).*/\1/p' "$rollback_notes")"
    printf '%-14s%s\n' ready "$(is_ready && echo yes || echo no)"
    for each in broker coordinator front firewall backup.timer certificates.timer; do
        printf '%-14s%s\n' "${each%.timer}" "$(systemctl is-active "p2c2g-$each" || true)"
    done
    for each in front redis ca; do
        printf '%-14s%s\n' "$each.crt" "until $(date --date "$(openssl x509 -in "$tls/$each.crt" -noout -enddate | cut -d= -f2)" +%F)"
    done
    printf '%-14s%s\n' 'last backup' "$(newest_backup || echo none)"
}
