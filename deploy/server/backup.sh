#!/usr/bin/env bash
# Writes a pool's database to a file, whole or not at all, and keeps the newest: as p2c2g-backup.service.
set -euo pipefail
umask 077
readonly KEPT=14
folder=${P2C2G_BACKUPS:-/var/backups/p2c2g}

new=$folder/database-$(date --utc +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$new.part"' EXIT
pg_dump --host /run/postgresql --format custom --file "$new.part" p2c2g
sync "$new.part"
mv "$new.part" "$new"

# By their names they are in the order of time.
all=("$folder"/database-*.dump)
for old in "${all[@]:0:${#all[@]} > KEPT ? ${#all[@]} - KEPT : 0}"; do
    rm -f "$old"
done
