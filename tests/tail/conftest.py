"""How many examples a law is tried on: few by default, ``HYPOTHESIS_PROFILE=slow`` for many."""

import os

from hypothesis import HealthCheck, Phase, settings

SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "quick",
    max_examples=2,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=SLOW_CHECKS,
)
settings.register_profile(
    "slow", max_examples=100, deadline=None, database=None, print_blob=True, suppress_health_check=SLOW_CHECKS
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
