#!/bin/sh
# Runs coturn with the secret that the room server makes credentials with ("run"), or asks
# it for our address ("check").
set -eu

if [ "$1" = check ]; then
    # It waits for ever for an answer that was lost.
    exec timeout 2 turnutils_stunclient -p "$TURN_PORT" 127.0.0.1
fi

umask 077
configuration=$(mktemp)
cat > "$configuration" <<END
use-auth-secret
static-auth-secret=$(cat "$TURN_SECRETS/turn_secret")
realm=$TURN_REALM
listening-port=$TURN_PORT
min-port=${TURN_RELAY_PORTS%-*}
max-port=${TURN_RELAY_PORTS#*-}
fingerprint
no-cli
no-multicast-peers
no-tcp-relay
no-rfc5780
no-tls
no-dtls
pidfile=$configuration.pid
userdb=$configuration.db
log-file=stdout
simple-log
denied-peer-ip=0.0.0.0-0.255.255.255
denied-peer-ip=10.0.0.0-10.255.255.255
denied-peer-ip=100.64.0.0-100.127.255.255
denied-peer-ip=127.0.0.0-127.255.255.255
denied-peer-ip=169.254.0.0-169.254.255.255
denied-peer-ip=172.16.0.0-172.31.255.255
denied-peer-ip=192.168.0.0-192.168.255.255
denied-peer-ip=::1
denied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
denied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff
END
[ -z "${TURN_PUBLIC_IP:-}" ] || echo "external-ip=$TURN_PUBLIC_IP" >> "$configuration"
exec turnserver -c "$configuration"
