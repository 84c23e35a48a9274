"""The kinds of cases, and who makes them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.peer.config_cases import validate_config_case
from tests.peer.helper_cases import helper_case
from tests.peer.mutation_cases import (
    alias_parse_case,
    batch_map_case,
    mutation_map_case,
    nodes_map_case,
)
from tests.peer.path_cases import json_path_case, xml_path_case
from tests.peer.record_cases import universal_case
from tests.peer.xml_cases import universal_xml_case

__all__ = ["KINDS"]

KINDS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "universal": universal_case,
    "universal_xml": universal_xml_case,
    "helper": helper_case,
    "json_path": json_path_case,
    "xml_path": xml_path_case,
    "validate_config": validate_config_case,
    "mutation_map": mutation_map_case,
    "nodes_map": nodes_map_case,
    "batch_map": batch_map_case,
    "alias_parse": alias_parse_case,
}
