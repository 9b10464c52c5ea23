"""Python's garbage collector, set for a process that holds much and must answer soon."""

import gc

# Objects made since the last look: the first number starts a look at the youngest, the others count such looks until
# the next older generation is looked at too. A call makes thousands of objects that live as long as it does, and
# hardly any garbage that needs the collector, so Python's own 700 looks at the same ones many times in vain. Five
# times as much is a little cheaper still, but then a look stops the process for 20 to 50 ms instead of 5 to 15.
THRESHOLDS = (10_000, 10, 100)


def settle_collector() -> None:
    """Leave what exists now out of all later collections, and collect less often. Call it once everything stands."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
