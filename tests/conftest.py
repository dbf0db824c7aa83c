"""Boundary between the tests and the machine they run on: the environment of Ray, of Greenroom, and of hypothesis.

Everything here runs at import, before a test module can import Ray or read a setting.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_RAY_ENVIRONMENT = {
    # One user's loopback cluster that lives for seconds; Ray's default would write a token into the home directory.
    "RAY_AUTH_MODE": "disabled",
    # Two equal lines of two actors are two facts.
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What Ray reads when it starts; a value that the caller has set wins."""

_GREENROOM_ENVIRONMENT = {
    # Many tests look from outside at the processes and files of commands. Those about the sandbox switch it on.
    "GREENROOM_SANDBOX": "off",
}

_PROVIDER_PREFIXES = ("OPENAI_", "ANTHROPIC_")
"""Keys and addresses of model providers: no test may spend a developer's money by accident."""

_PRODUCT_PREFIX = "GREENROOM_"
_TEST_PREFIX = "GREENROOM_TEST_"
"""Settings of the developer's own runtime would change what is tested; those meant for the tests stay."""

_EXAMPLES = 50
"""Examples of a property test on a developer's machine: the whole unit suite stays within seconds."""

_CI_EXAMPLES = 40
"""Examples in CI, always the same ones: the whole suite has to stay below ten minutes."""


def _foreign(name: str) -> bool:
    if name.startswith(_TEST_PREFIX):
        return False
    return name.startswith((_PRODUCT_PREFIX, *_PROVIDER_PREFIXES))


def _prepare_environment() -> None:
    for name in [name for name in os.environ if _foreign(name)]:
        del os.environ[name]
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(_GREENROOM_ENVIRONMENT)


def _prepare_hypothesis() -> None:
    # No deadline and no health check on speed: the machine is shared, and a slow example is not a wrong one.
    slow = [HealthCheck.too_slow]
    settings.register_profile("default", max_examples=_EXAMPLES, deadline=None, suppress_health_check=slow)
    settings.register_profile(
        "ci", max_examples=_CI_EXAMPLES, deadline=None, suppress_health_check=slow, derandomize=True, print_blob=True
    )
    chosen = "ci" if os.environ.get("CI") else "default"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", chosen))


_prepare_environment()
_prepare_hypothesis()
