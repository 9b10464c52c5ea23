#!/bin/sh
# Style, types, import contracts and Rust lints; everything is reported, the first failure decides the exit code.
set -eu
bin=$1/bin
"$bin/ruff" format --check -q src tests benches scripts
"$bin/ruff" check -q src tests benches scripts
"$bin/mypy"
"$bin/stubtest" sidestream._native
"$bin/lint-imports"
cargo fmt --all --check
cargo clippy -q --workspace --all-targets -- -D warnings
