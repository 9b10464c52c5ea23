"""Settings of all tests."""

import os

from hypothesis import HealthCheck, settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz",
    settings.get_profile("default"),
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "20000")),
)
settings.load_profile("default")
