#!/bin/sh
# docker/secrets.sh HOST: make every secret of the pool, once, each in a file of its own.
#
# HOST is the name by which gamers and peers reach this machine.  Nothing that is there is changed;
# to make one again, delete its file.  The folder is for its owner alone; the files in it may be read
# by whoever is given them, since containers have a user of their own.
set -eu
umask 022
if [ $# -ne 1 ] || ! printf %s "$1" | grep -Eq '^[A-Za-z0-9.-]+$'; then
    echo "usage: docker/secrets.sh HOST, such as docker/secrets.sh pool.example.org" >&2
    exit 2
fi
host=$1
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
cd secrets

make() { # make FILE COMMAND...: what the command prints, where the file is not there yet
    file=$1
    shift
    [ -s "$file" ] && return
    "$@" > "$file.new"
    mv "$file.new" "$file"
    echo "made docker/secrets/$file"
}
random() { openssl rand -hex 32; }
url() { # url BEFORE AFTER FILE: with the password of that file between
    printf '%s%s%s\n' "$1" "$(cat "$3")" "$2"
}
acl() {
    printf 'user default off\nuser pool on #%s ~* &* +@all -@dangerous +info +keys' \
        "$(tr -d '\n' < redis.password | sha256sum | cut -d' ' -f1)"
    printf ' +client|list +client|kill +config|get\n'
}
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj "/CN=P2C2G pool" -addext "basicConstraints=critical,CA:TRUE" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key 2> /dev/null
}
certificate() { # certificate NAME: for that service, by its name in the network and by the host's
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.csr" 2> /dev/null
    printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1,DNS:%s\nextendedKeyUsage=serverAuth\n' \
        "$1" "$host" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
        -days 825 -extfile "$1.ext" 2> /dev/null
    rm "$1.csr" "$1.ext"
}

make redis.password random
make redis.acl acl
make broker.url url rediss://pool: @redis:6390/0 redis.password
make database.password random
make database.url url postgresql://p2c2g: @postgres/p2c2g database.password
make coordinator.secret random
make grafana.password random
make ca.crt authority
chmod 600 ca.key
make redis.crt certificate redis
make coordinator.crt certificate coordinator
chmod 644 redis.key coordinator.key

# What somebody has set there stays.
own=$([ ! -e ../.env ] || grep -Ev '^(#|[A-Z]*_IMAGE=|COMPOSE_PROJECT_NAME=|P2C2G_HOST=)' ../.env || true)
cat ../images.env - > ../.env <<END
# Made by docker/secrets.sh, of images.env and the name that it was given; what you add stays.
COMPOSE_PROJECT_NAME=p2c2g
P2C2G_HOST=$host
$own
END
echo "The pool is $host. Now: docker compose -f docker/compose.yml --profile prod up -d"
