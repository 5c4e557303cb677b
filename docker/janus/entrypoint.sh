#!/bin/sh
# Writes Janus's configuration from the environment and the secrets, and runs it ("run"), or
# asks whether it listens ("check").
set -eu

if [ "$1" = check ]; then
    # A WebSocket port answers plain HTTP with an error, but it answers.
    exec curl --silent --output /dev/null --max-time 2 "http://$JANUS_WS_ADDRESS:$JANUS_WS_PORT/"
fi

folder=$(mktemp -d)
modules=$(dirname "$(find /usr/lib -type d -path '*/janus/plugins')")
admin_key=$(cat "$JANUS_SECRETS/janus_admin_key")
auth_secret=$(cat "$JANUS_SECRETS/janus_auth_secret")
public=${JANUS_PUBLIC_IP:+nat_1_1_mapping = \"$JANUS_PUBLIC_IP\"}

others() {
    find "$modules/$1" -name '*.so' ! -name "$2" -printf '%f,' | sed 's/,$//'
}

cat > "$folder/janus.jcfg" <<END
general: {
  configs_folder = "$folder"
  plugins_folder = "$modules/plugins"
  transports_folder = "$modules/transports"
  events_folder = "$folder/none"
  loggers_folder = "$folder/none"
  debug_level = 3
  token_auth = true
  token_auth_secret = "$auth_secret"
  session_timeout = 60
  reclaim_session_timeout = 10
}
media: { rtp_port_range = "$JANUS_RTP_PORTS" }
nat: { ice_tcp = false $public }
plugins: { disable = "$(others plugins libjanus_videoroom.so)" }
transports: { disable = "$(others transports libjanus_websockets.so)" }
events: { broadcast = false }
END
cat > "$folder/janus.plugin.videoroom.jcfg" <<END
general: { string_ids = true admin_key = "$admin_key" lock_rtp_forward = true }
END
cat > "$folder/janus.transport.websockets.jcfg" <<END
general: { json = "compact" ws = true ws_port = $JANUS_WS_PORT ws_ip = "$JANUS_WS_ADDRESS" wss = false }
admin: { admin_ws = false }
END
exec janus --configs-folder="$folder" --disable-colors
