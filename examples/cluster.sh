#!/bin/sh
# A nats-server and two nodes of one cluster, at which ann has a device each: each node says something, and both show it.
# Needs nats-server (Debian: apt-get install nats-server). PORT sets the server's port.
set -eu
cd "$(dirname "$0")/.."

port=${PORT:-14222}
work=$(mktemp -d)
cargo build --quiet --features nats --example cluster
program=${CARGO_TARGET_DIR:-target}/debug/examples/cluster

nats-server -a 127.0.0.1 -p "$port" >"$work/server" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM

node() { # the second of the two speaks a second later
    (sleep 2; [ "$1" = first ] || sleep 1; echo "the $1 node says hello"; sleep 3) |
        "$program" "nats://127.0.0.1:$port" ann >"$work/$1" 2>&1
}
node first &
one=$!
node second &
two=$!
wait "$one" "$two"

for name in first second; do
    printf '==> the device at the %s node shows\n' "$name"
    cat "$work/$name"
    for says in first second; do
        grep -qx "the $says node says hello" "$work/$name" || {
            echo "the device at the $name node has missed what the $says node said" && exit 1
        }
    done
done
