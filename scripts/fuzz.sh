#!/bin/sh
# Search for inputs that break something: every property test, with many more examples than `make test` gives it.
# FUZZ_EXAMPLES overrides how many.
set -eu
HYPOTHESIS_MAX_EXAMPLES=${FUZZ_EXAMPLES:-20000}
export HYPOTHESIS_MAX_EXAMPLES
exec "$1/bin/pytest" -q tests/unit -m hypothesis --hypothesis-profile=fuzz --timeout=3600
