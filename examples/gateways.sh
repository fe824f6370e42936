#!/bin/sh
# A nats-server and two gateways of one cluster, until Ctrl-C. A user who logs in at both has devices at both, and what people
# say in a room reaches its members at both.
# Needs nats-server (Debian: apt-get install nats-server). PORT sets the server's port, GATEWAY_PROGRAM a gateway that is
# built already, with the feature nats.
set -eu
cd "$(dirname "$0")/.."

port=${PORT:-14223}
if [ -z "${GATEWAY_PROGRAM:-}" ]; then
    cargo build --quiet --release --features nats --example gateway
    GATEWAY_PROGRAM=${CARGO_TARGET_DIR:-target}/release/examples/gateway
fi

nats-server -a 127.0.0.1 -p "$port" >/dev/null 2>&1 &
server=$!
"$GATEWAY_PROGRAM" --port 0 --cluster "nats://127.0.0.1:$port" &
one=$!
"$GATEWAY_PROGRAM" --port 0 --cluster "nats://127.0.0.1:$port" &
two=$!

# The gateways say goodbye to their devices, and to each other over the server.
end() {
    trap '' INT TERM
    kill -TERM "$one" "$two" 2>/dev/null || true
    wait "$one" "$two" || true
    kill "$server" 2>/dev/null || true
}
trap 'end; exit 0' INT TERM
trap end EXIT
wait "$one" "$two"
