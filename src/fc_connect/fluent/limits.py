"""What Fluent takes at most: from its public documentation of the Job and Batch API."""

from __future__ import annotations

from fc_connect.errors import ConfigurationError

__all__ = ["MAX_BATCH_ENTITIES", "check_batch_count"]

MAX_BATCH_ENTITIES = 5000
"""Per batch; a job takes any number of batches."""


def check_batch_count(count: int) -> None:
    """Raise ConfigurationError unless a batch may hold `count` entities."""
    if count < 1:
        raise ConfigurationError("A batch must hold at least one entity. Nothing was sent.")
    if count > MAX_BATCH_ENTITIES:
        raise ConfigurationError(
            f"A batch of {count} entities is more than Fluent takes ({MAX_BATCH_ENTITIES}): send smaller batches. "
            "Nothing was sent."
        )
