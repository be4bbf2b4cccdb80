# shellcheck shell=bash
# Certificates: the front's by a public authority, by files or by the pool's own authority; the
# broker's always by the latter, which members are given by the coordinator.

tls=/etc/p2c2g/tls
webroot=/var/lib/p2c2g-acme
# Days of what servers have, and what is left when it is made anew; days of the authority.
readonly DAYS=90 LEFT=30 AUTHORITY_DAYS=3650

# lasts FILE: whether a certificate is there, is for the domain, and does not end soon.
lasts() {
    [ -r "$1" ] && openssl x509 -in "$1" -noout -checkend $((LEFT * 86400)) >/dev/null && {
        openssl x509 -in "$1" -noout -checkhost "$domain" | grep -q 'does match' ||
            openssl x509 -in "$1" -noout -checkip "$domain" 2>/dev/null | grep -q 'does match'
    }
}

issue() {
    "$current/bin/p2c2g" certs dev --host "$domain" --dir "$tls" --days $DAYS --authority-days $AUTHORITY_DAYS >/dev/null &&
        chown root:p2c2g-broker "$tls/redis.key" && chmod 640 "$tls/redis.key" && chmod 644 "$tls"/*.crt
}

# Sets broker_changed and front_changed to yes where there are new ones.
own_certificates() {
    if ! lasts "$tls/redis.crt"; then
        act "make certificates by the pool's own authority" issue
        broker_changed=yes
    fi
}

# front_pair CERTIFICATE KEY AUTHORITY: have the front show these.
front_pair() {
    local file
    for file in "$1" "$2" "$3"; do
        [ -r "$file" ] || [ "$dry" = yes ] || die "$file cannot be read."
    done
    [ -r "$1" ] && [ -r "$2" ] && [ -r "$3" ] || return 0
    if put "$tls/front.crt" 644 root:root <"$1"; then front_changed=yes; fi
    if put "$tls/front.key" 640 root:p2c2g-front <"$2"; then front_changed=yes; fi
    if put "$tls/front-ca.crt" 644 root:root <"$3"; then front_changed=yes; fi
}

front_certificates() {
    local live=/etc/letsencrypt/live/$domain
    case $certificates in
        files)
            [ -z "$cert" ] || front_pair "$cert" "$key" "$cert"
            ;;
        public)
            if [ -r "$live/fullchain.pem" ]; then
                front_pair "$live/fullchain.pem" "$live/privkey.pem" "$live/chain.pem"
            elif [ ! -e "$tls/front.crt" ]; then
                # So that the front starts, and the authority can ask it.
                front_pair "$tls/coordinator.crt" "$tls/coordinator.key" "$tls/ca.crt"
            fi
            ;;
        *) front_pair "$tls/coordinator.crt" "$tls/coordinator.key" "$tls/ca.crt" ;;
    esac
}

# public_certificate: ask the authority, once; certbot's own timer renews, and calls the hook.
public_certificate() {
    [ "$certificates" = public ] && [ ! -e "/etc/letsencrypt/live/$domain/fullchain.pem" ] || return 0
    local contact=(--email "$email") server=()
    [ "$email" != none ] || contact=(--register-unsafely-without-email)
    [ -z "$acme_server" ] || server=(--server "$acme_server")
    act "get a certificate for $domain" ask_authority
}

ask_authority() {
    certbot certonly --quiet --non-interactive --agree-tos \
        "${contact[@]}" "${server[@]}" --webroot --webroot-path "$webroot" --domain "$domain" \
        --cert-name "$domain" --deploy-hook "/opt/p2c2g/deploy/vps.sh certificates" ||
        die "The authority gave no certificate for $domain; it says why above. The name has to lead to this machine, and its port 80 has to be open to everybody. All else is set up: run vps.sh again when it is so, or with --self-signed $domain for a trial."
}

reload_broker() {
    local password
    password=$(sed 's|.*coordinator:\([^@]*\)@.*|\1|' /etc/p2c2g/broker.url)
    REDISCLI_AUTH=$password redis-cli --no-auth-warning --tls --cacert "$tls/ca.crt" -p 6391 --user coordinator \
        config set tls-cert-file "$tls/redis.crt" tls-key-file "$tls/redis.key" | grep -q OK
}

# Nothing is started here: what runs takes what is new.
certificates() {
    broker_changed=no front_changed=no
    own_certificates
    front_certificates
    if [ $broker_changed = yes ] && systemctl is-active --quiet p2c2g-broker.service; then
        act "have the broker take its certificate" reload_broker
    fi
    if [ $front_changed = yes ] && systemctl is-active --quiet p2c2g-front.service; then
        act "have the front take its certificate" systemctl reload p2c2g-front.service
    fi
    [ "$changes" -gt 0 ] || say "All certificates last for $LEFT days or more."
}
