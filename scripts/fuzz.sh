#!/bin/sh
# Search for inputs that break something: every property test, with many more examples than `make test` gives it, then
# every harness of crates/fuzz and of tests/fuzz. FUZZ_EXAMPLES overrides how many examples, FUZZ_SECONDS how long each
# harness runs.
set -eu
bin=$1/bin
HYPOTHESIS_MAX_EXAMPLES=${FUZZ_EXAMPLES:-20000}
export HYPOTHESIS_MAX_EXAMPLES
"$bin/pytest" -q tests/unit -m hypothesis --hypothesis-profile=fuzz --timeout=3600
sh scripts/fuzz_engine.sh
if ! "$bin/python" -c 'import atheris' 2>/dev/null; then
    echo "fuzz: atheris has no wheel for this platform; the harnesses are left out" >&2
    exit 0
fi
# What a harness breaks on stays in target/fuzz; to see it again: .venv/bin/python tests/fuzz/NAME.py FILE
for harness in $(grep -l '^    fuzz(take' tests/fuzz/*.py); do
    echo "fuzz: $harness"
    "$bin/python" "$harness" -verbosity=0 -print_final_stats=1 "-max_total_time=${FUZZ_SECONDS:-60}"
done
