"""How long a fuzzer looks: seconds by default, as long as wanted with FUZZ_EXAMPLES=100000."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ["examples"]


def examples(default: int) -> settings:
    """Look at `default` examples, or at as many as FUZZ_EXAMPLES says.

    With CI=true, Hypothesis' own `ci` profile makes every run look at the same examples; elsewhere each run looks at
    others, and what once failed is tried again first.
    """
    return settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", default)),
        deadline=None,  # two shared cores; pytest's own timeout ends what hangs
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
