"""Where entities go."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.targets.batch import BatchTarget
    from fc_connect.targets.confirmation import confirm

__all__ = ["BatchTarget", "confirm"]

# A module named like its function would take its place here.
_HOMES = {"BatchTarget": "batch", "confirm": "confirmation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
