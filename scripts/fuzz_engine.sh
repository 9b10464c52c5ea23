#!/bin/sh
# Runs the harnesses of crates/fuzz, each for FUZZ_SECONDS (60), from the seeds in crates/fuzz/seeds. Stable Rust does:
# libFuzzer comes with the libfuzzer-sys crate, and what it wants to know of the code is a pass that LLVM has.
# What a harness breaks on stays in target/fuzz; to see it again: the harness, as named below, with that FILE.
set -eu
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
for what in inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$what"
done
# a target is named so that build scripts go without the flags
RUSTFLAGS=$flags cargo build -q --release --manifest-path crates/fuzz/Cargo.toml --target-dir target/fuzz-build --target "$host"
mkdir -p target/fuzz
for harness in ${FUZZ_ENGINE:-rtp rtcp srtp session control wav}; do
    mkdir -p "target/fuzz/corpus-$harness" # what is found on the way goes here, the first folder
    log=target/fuzz/$harness.log
    "target/fuzz-build/$host/release/$harness" -verbosity=0 -print_final_stats=1 "-artifact_prefix=target/fuzz/$harness-" \
        "-max_total_time=${FUZZ_SECONDS:-60}" -max_len=4096 -rss_limit_mb=1024 \
        "target/fuzz/corpus-$harness" "crates/fuzz/seeds/$harness" >"$log" 2>&1 || { tail -40 "$log" >&2; exit 1; }
    echo "fuzz: $harness, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
done
