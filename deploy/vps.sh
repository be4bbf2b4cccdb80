#!/usr/bin/env bash
# Makes this machine the server of an open pool: docs/deploy.md, "A server of your own".
# shellcheck source-path=SCRIPTDIR
# SC2015: what stands behind || is always die, or cannot fail.  SC2034: files that are read share variables.
# shellcheck disable=SC2015,SC2034
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

deploy=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=server/steps.sh
. "$deploy/server/steps.sh"
# shellcheck source=server/versions.sh
. "$deploy/server/versions.sh"
# shellcheck source=server/certificates.sh
. "$deploy/server/certificates.sh"
# shellcheck source=server/database.sh
. "$deploy/server/database.sh"
# shellcheck source=server/setup.sh
. "$deploy/server/setup.sh"

help() {
    cat <<'END'
Make this machine the server of an open pool (Debian 12 or newer, Ubuntu 24.04 or newer), as root:

  vps.sh --domain pool.example.org --email you@example.org    with a certificate of Let's Encrypt
  vps.sh --self-signed ADDRESS     for a trial: members are given /etc/p2c2g/tls/ca.crt
  vps.sh                           again: it mends what is not as it has to be, and nothing else

  vps.sh upgrade        install what is given; back by itself where that does not work
  vps.sh rollback       back to the version before; --restore-database where it kept its data otherwise
  vps.sh backup         the database, now; --secrets FILE also what is needed on another machine
  vps.sh restore FILE   the database of a backup; --secrets FILE what was kept with it
  vps.sh status         what runs, and how it is
  vps.sh certificates   look at certificates, and make those anew that end soon (a timer does it)

What is installed, for the first start and upgrade; else what this folder is part of:
  --wheel FILE          a wheel of P2C2G
  --version X           a version from the package index that pip knows

  --domain NAME         the name by which members reach it
  --email ADDRESS       where Let's Encrypt writes to; --no-email gives none.  Either accepts its terms
  --acme-server URL     another authority than Let's Encrypt, such as its staging one
  --self-signed ADDRESS a certificate by an authority of its own, for a name or an IP address
  --cert FILE, --key FILE   with --domain: your own certificates, in PEM, in place of Let's Encrypt's
  --ssh-port N          let in at the firewall; else those of this machine's sshd, or 22
  --no-firewall         leave what may come in to others; connections are still counted
  --dry-run             say what would be done, and do nothing
  --help                this
END
}

command=setup file='' given=''
domain='' certificates='' email='' acme_server='' cert='' key='' ssh_ports='' firewall=''
wheel='' version='' secrets='' restore_database=no

# value OPTION VALUE: the value of an option, or a sentence.
value() {
    [ $# -ge 2 ] && [ -n "$2" ] && [ "${2#-}" = "$2" ] || wrong "$1 needs a value: vps.sh --help has an example."
    printf '%s' "$2"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            upgrade | rollback | backup | status | certificates | restore)
                [ -z "$given" ] || wrong "One command at a time: $given, or $1."
                given=$1 command=$1
                if [ "$1" = restore ]; then
                    file=$(value restore "${@:2:1}")
                    shift
                fi
                ;;
            --dry-run) dry=yes ;;
            --no-firewall) firewall=no ;;
            --no-email) email=none ;;
            --restore-database) restore_database=yes ;;
            -h | --help) help && exit 0 ;;
            --domain) domain=$(value "$1" "${@:2:1}"); shift ;;
            --self-signed) domain=$(value "$1" "${@:2:1}") certificates=own; shift ;;
            --email) email=$(value "$1" "${@:2:1}"); shift ;;
            --acme-server) acme_server=$(value "$1" "${@:2:1}"); shift ;;
            --cert) cert=$(value "$1" "${@:2:1}"); shift ;;
            --key) key=$(value "$1" "${@:2:1}"); shift ;;
            --ssh-port) ssh_ports="${ssh_ports:+$ssh_ports }$(value "$1" "${@:2:1}")"; shift ;;
            --wheel) wheel=$(value "$1" "${@:2:1}"); shift ;;
            --version) version=$(value "$1" "${@:2:1}"); shift ;;
            --secrets) secrets=$(value "$1" "${@:2:1}"); shift ;;
            *) wrong "It does not know '$1': vps.sh --help says what there is." ;;
        esac
        shift
    done
}

check_options() {
    [ -z "$wheel" ] || [ -z "$version" ] || wrong "--wheel and --version exclude each other: give one."
    [ -z "$wheel" ] || [ -f "$wheel" ] || wrong "--wheel $wheel is no file: give a wheel of P2C2G."
    [[ -z "$version" || "$version" =~ ^[0-9][0-9A-Za-z.+!]*$ ]] || wrong "--version $version is none: give one such as 0.1.0."
    [[ -z "$domain" || "$domain" =~ ^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$ ]] ||
        wrong "$domain is no name of a machine: give one such as pool.example.org, without https:// and without a port."
    [[ -z "$domain" || "$certificates" = own || "$domain" =~ [A-Za-z] && "$domain" != *:* ]] ||
        wrong "--domain $domain is an address: a public authority signs names; use --self-signed $domain for a trial."
    [ -z "$cert$key" ] || { [ -f "$cert" ] && [ -f "$key" ]; } || wrong "--cert and --key are two files in PEM: one is missing."
    [ -z "$cert" ] || [ "$certificates" != own ] || wrong "--self-signed and --cert exclude each other: give one."
    local port
    for port in $ssh_ports; do
        [[ "$port" =~ ^[0-9]{1,5}$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ] || wrong "--ssh-port $port is no port: give 1 to 65535."
    done
    [ -z "$secrets" ] || [ "$command" = backup ] || [ "$command" = restore ] || wrong "--secrets is for backup and restore."
    [ "$restore_database" = no ] || [ "$command" = rollback ] || wrong "--restore-database is for rollback."
}

# What it was told the first time, for the next times.
remember() {
    settings=/etc/p2c2g/server.env
    local asked_domain=$domain asked_certificates=$certificates asked_email=$email asked_acme=$acme_server
    local asked_ports=$ssh_ports asked_firewall=$firewall
    if [ -r "$settings" ]; then
        # shellcheck source=/dev/null
        . "$settings"
    fi
    if [ -n "$asked_domain" ]; then
        domain=$asked_domain
        certificates=${asked_certificates:-public}
        [ -z "$cert" ] || certificates=files
    fi
    email=${asked_email:-$email} acme_server=${asked_acme:-$acme_server}
    ssh_ports=${asked_ports:-$ssh_ports} firewall=${asked_firewall:-${firewall:-yes}}
}

check_machine() {
    [ "$dry" = yes ] || [ "$(id -u)" = 0 ] || die "It sets up a whole machine, and has to run as root: sudo $0"
    local id='' release=0
    if [ -r /etc/os-release ]; then
        id=$(. /etc/os-release && printf '%s' "${ID:-}")
        release=$(. /etc/os-release && printf '%s' "${VERSION_ID:-0}")
    fi
    case $id in
        debian) at_least "$release" 12 || die "This is Debian $release: it takes Debian 12 or newer." ;;
        ubuntu) at_least "$release" 24.04 ||
            die "This is Ubuntu $release, whose Redis is older than 7.0 and Python than 3.11: it takes Ubuntu 24.04 or newer." ;;
        *) die "This is no Debian and no Ubuntu: docs/pools.md says what a pool needs on any system." ;;
    esac
    [ "$dry" = yes ] || [ -d /run/systemd/system ] || die "Nothing starts services here: it needs a machine that runs systemd."
}

main() {
    parse "$@"
    check_options
    remember
    case $command in
        setup | upgrade)
            [ -n "$domain" ] || wrong "By what name do members reach it? Give --domain NAME, or --self-signed ADDRESS for a trial."
            [ "$certificates" != public ] || [ -n "$email" ] ||
                wrong "Let's Encrypt wants an address for warnings: give --email ADDRESS, or --no-email."
            ;;
        *) [ -e "$settings" ] || die "There is no server here yet: vps.sh --help says how to make one." ;;
    esac
    check_machine
    if [ "$dry" = no ] && [ -z "${VPS_RUNS:-}" ]; then
        # One at a time; a timer may run it too, and certbot from within.
        exec 9>/run/p2c2g-vps.lock
        flock -w 300 9 || die "Another vps.sh runs: wait for it."
        export VPS_RUNS=yes
    fi
    "$command"
}

main "$@"
