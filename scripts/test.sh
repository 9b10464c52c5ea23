#!/bin/sh
# Everything that must pass, in the order in which failures are cheapest to learn of.
set -eu
venv=$1
sh scripts/install-peers.sh
sh scripts/lint.sh "$venv"
cargo test -q --workspace
exec "$venv/bin/pytest" -q -m "not long" tests
