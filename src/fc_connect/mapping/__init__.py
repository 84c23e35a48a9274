"""Mapping: what a record becomes, written as data, compiled once, strict about what it can't read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.mapping.config import FieldConfig, MappingConfig, load_mapping
    from fc_connect.mapping.mapper import Mapper, compile_mapping, encode_entity
    from fc_connect.mapping.resolvers import resolver_names

__all__ = [
    "FieldConfig",
    "Mapper",
    "MappingConfig",
    "compile_mapping",
    "encode_entity",
    "load_mapping",
    "resolver_names",
]

_HOMES = {
    "FieldConfig": "config",
    "Mapper": "mapper",
    "MappingConfig": "config",
    "compile_mapping": "mapper",
    "encode_entity": "mapper",
    "load_mapping": "config",
    "resolver_names": "resolvers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
