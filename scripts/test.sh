#!/bin/sh
# Everything that must pass, in the order in which failures are cheapest to learn of.
set -eu
venv=$1
sh scripts/install-peers.sh
sh scripts/lint.sh "$venv"
cargo test -q --workspace
# The Python half of the SIP codec is the reference, and what runs where the native one is not built.
SIDESTREAM_SIP_CODEC=python "$venv/bin/pytest" -q tests/unit/sip
exec "$venv/bin/pytest" -q -m "not long" tests
