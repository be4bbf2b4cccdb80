# shellcheck shell=bash
# The database of the coordinator: PostgreSQL, by the socket of this machine, where a user is who the
# system says it is.  So it has no password.

backups=/var/backups/p2c2g

database_exists() { [ "$(as postgres psql -qAtc "SELECT 1 FROM pg_database WHERE datname = '$1'" 2>/dev/null)" = 1 ]; }
role_exists() { [ "$(as postgres psql -qAtc "SELECT 1 FROM pg_roles WHERE rolname = 'p2c2g'" 2>/dev/null)" = 1 ]; }

new_database() {
    as postgres createdb --template template0 --encoding UTF8 --locale C.UTF-8 --owner p2c2g "$1" &&
        as postgres psql -q -c "REVOKE CONNECT ON DATABASE $1 FROM PUBLIC"
}

# schema: what the tables are, as the coordinator's migrations name it.
schema() { as p2c2g psql -qAt -d p2c2g -c 'SELECT version_num FROM alembic_version' 2>/dev/null || true; }

newest_backup() {
    local all=("$backups"/database-*.dump)
    [ -e "${all[-1]}" ] && printf '%s' "${all[-1]}"
}

backup_database() {
    act "back up the database" systemctl start p2c2g-backup.service
    [ "$dry" = yes ] || say "$(newest_backup)"
}

backup() {
    backup_database
    if [ -n "$secrets" ]; then
        act "keep secrets in $secrets" keep_secrets
        say "Keep $secrets elsewhere than the database's backups: who has both is the pool's operator."
    fi
}

# What another machine needs to be this pool's: the coordinator's secret, and the authority.
keep_secrets() {
    (umask 077 && tar -C / --create --gzip --file "$secrets" var/lib/p2c2g/coordinator/secret etc/p2c2g/tls/ca.crt etc/p2c2g/tls/ca.key)
}

take_secrets() {
    tar -C / --extract --gzip --file "$secrets" --no-same-owner \
        var/lib/p2c2g/coordinator/secret etc/p2c2g/tls/ca.crt etc/p2c2g/tls/ca.key &&
        chown p2c2g:p2c2g /var/lib/p2c2g/coordinator/secret && chmod 600 /var/lib/p2c2g/coordinator/secret &&
        chmod 600 "$tls/ca.key" && rm -f "$tls/redis.crt" \
            /var/lib/p2c2g/coordinator/operator.key # It was of the database that was there.
}

# prepare_dump FILE: put a backup into a database beside the one that is used.
prepare_dump() {
    ! database_exists p2c2g_restored || as postgres dropdb p2c2g_restored
    new_database p2c2g_restored &&
        as p2c2g pg_restore --single-transaction --exit-on-error --no-owner -d p2c2g_restored <"$1" ||
        die "$1 could not be restored, and the database is as it was."
}

# take_prepared: have that be the one; nobody may be using it.
take_prepared() {
    ! database_exists p2c2g || as postgres dropdb --force p2c2g
    as postgres psql -q -c 'ALTER DATABASE p2c2g_restored RENAME TO p2c2g'
}

restore() {
    local started=$SECONDS
    [ -r "$file" ] || die "$file cannot be read: give a backup of $backups."
    pg_restore --list "$file" >/dev/null 2>&1 || die "$file is no backup of a database: give one of $backups."
    if [ -n "$secrets" ]; then
        tar --list --gzip --file "$secrets" >/dev/null 2>&1 || die "$secrets holds no secrets: give what backup --secrets made."
    fi
    if [ "$dry" = yes ]; then
        say "  would put $file in place of the database"
        return
    fi
    ! database_exists p2c2g || backup_database
    prepare_dump "$file"
    systemctl stop p2c2g-coordinator.service
    take_prepared
    if [ -n "$secrets" ]; then
        take_secrets || die "$secrets could not be taken."
        own_certificates
        front_certificates
        # The broker shows what the authority of before has signed, which nobody trusts now.
        systemctl restart p2c2g-broker.service p2c2g-front.service
    fi
    systemctl start p2c2g-coordinator.service || true
    wait_until_ready || die "The coordinator is not ready after $PATIENCE s: journalctl -u p2c2g-coordinator says why."
    say "$file is the database now, after $((SECONDS - started)) s."
}
