#!/bin/sh
# Makes the secrets that compose.yaml wants; those that exist stay. The containers run as
# users of their own and must read the files, so the folder keeps others out.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 0700 secrets
for name in token_secret engine_secret janus_admin_key janus_auth_secret turn_secret; do
    [ -e "secrets/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "secrets/$name"
    chmod 0444 "secrets/$name"
done
