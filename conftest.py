"""Profiles of hypothesis for the whole workspace: how many examples a property is given."""

from hypothesis import HealthCheck, settings

_SLOW_MACHINES = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "default",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_SLOW_MACHINES,
)
settings.register_profile(
    "thorough",
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_SLOW_MACHINES,
)
settings.load_profile("default")
