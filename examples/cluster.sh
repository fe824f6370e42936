#!/bin/sh
# A nats-server and three nodes of one cluster. Ann has a device at the first one, bob one at each other, and all are in one room:
# each node says something to its user and to the room, and the devices show what is for them.
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

node() { # the name of the node, its user, and how long it waits before it speaks
    (sleep "$3"; echo "the $1 node says hello to $2"; echo "#the $1 node says hello to the room"; sleep $((6 - $3))) |
        "$program" "nats://127.0.0.1:$port" "$2" lobby >"$work/$1" 2>&1
}
node first ann 2 &
one=$!
node second bob 3 &
two=$!
node third bob 4 &
three=$!
wait "$one" "$two" "$three"

shows() { # the name of a node, and a line that its device has to show
    grep -qx "$2" "$work/$1" || { echo "the device at the $1 node has missed: $2" && exit 1; }
}
for name in first second third; do
    printf '==> the device at the %s node shows\n' "$name"
    cat "$work/$name"
    for says in first second third; do
        shows "$name" "#the $says node says hello to the room"
    done
done
for name in second third; do
    for says in second third; do
        shows "$name" "the $says node says hello to bob"
    done
done
if grep -q "to bob" "$work/first"; then
    echo "ann's device shows what was for bob" && exit 1
fi
