"""The batch target: what surrounds the entities of a batch, and how bodies are put together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.fluent import check_batch_count

__all__ = ["BatchTarget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTarget:
    """Sends entities as batches of a job. The bytes are the same for the same entities, always.

    Raises:
        ConfigurationError: every fault of the settings.
    """

    action: str = "UPSERT"
    entity_type: str = "INVENTORY"
    source: str | None = None
    event: str | None = None
    catalogue_ref: str | None = None
    conditions: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is empty: leave it out or give a value"
            for name in ("action", "entity_type", "source", "event", "catalogue_ref")
            if (value := getattr(self, name)) is not None and not value.strip()
        ]
        try:
            json.dumps(None if self.conditions is None else dict(self.conditions), allow_nan=False)
        except (TypeError, ValueError) as exc:
            problems.append(f"conditions can't be written as JSON: {exc}")
        if problems:
            raise ConfigurationError("The batch target can't be used:", problems=problems)

    def envelope(self) -> tuple[bytes, bytes]:
        """Return what comes before the entities of a body and what comes after.

        Between them belong entities in JSON, parted by commas.
        """
        fields = {
            "action": self.action,
            "entityType": self.entity_type,
            "source": self.source,
            "event": self.event,
            "catalogueRef": self.catalogue_ref,
            "conditions": None if self.conditions is None else dict(self.conditions),
        }
        present = {name: value for name, value in fields.items() if value is not None}
        head = json.dumps(present, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return f'{head[:-1]},"entities":[\n'.encode(), b"\n]}"

    def body(self, entities: Sequence[bytes]) -> bytes:
        """Return one JSON body of up to 5,000 entities, each encoded already.

        Raises:
            ConfigurationError: too many entities, or none.
        """
        check_batch_count(len(entities))
        prefix, suffix = self.envelope()
        return prefix + b",\n".join(entities) + suffix
