"""Python's garbage collector, set for a process that holds much and must answer soon."""

import gc

# Objects made since the last look: the first number starts a look at the youngest, the others count such looks until
# the next older generation is looked at too. A call makes thousands of objects that live as long as it does, and
# hardly any garbage that needs the collector, so Python's own 700 looks at the same ones many times in vain.
THRESHOLDS = (50_000, 20, 50)


def settle_collector() -> None:
    """Leave what exists now out of all later collections, and collect less often. Call it once everything stands."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
