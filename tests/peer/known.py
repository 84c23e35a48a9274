"""Where compat mode is meant to differ from the SDK, and why: what the tables of docs/ say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OF_JAVASCRIPT = re.compile(r"__proto__|constructor|toString'")

__all__ = ["known_difference"]


def known_difference(case: Mapping[str, Any], ours: Any, theirs: Any) -> str | None:
    """Return why this output is otherwise than the SDK's on purpose; None where nobody knows."""
    if case["kind"] in {"universal_xml", "xml_path"} and "&#" in case["input"]:
        return "a character of XML that is written by its number is decoded"
    if "Circular reference detected" in str(theirs):
        return "a list's item may have fields inside it: no circle is seen where there is none"
    if case["kind"] == "nodes_map" and "can't be read as XML" in str(ours):
        return "a node that isn't XML is refused"
    if case["kind"] == "batch_map" and "$error" in theirs and "$error" in ours:
        return "items of a batch are mapped one after the other: the first that fails is told"
    if case["kind"] == "universal" and ".length'" in str(case["config"].get("fields")):
        return "a target doesn't set the length of a list"
    if case["kind"] == "nodes_map" and "&#" in str(case["input"]):
        return "a character of XML that is written by its number is decoded"
    config = str(case["config"])
    if case["kind"] == "nodes_map" and "custom." in config and re.search(r"'\w+\.[\w.]+':", config):
        return "a custom resolver is called with its field, not after all fields are made"
    if case["config"].get("helper") == "set" and "into a list" in str(ours):
        return "a name isn't put into a list, where the SDK loses it"
    if case["kind"] == "validate_config" and "Cannot read properties of" in str(theirs):
        return "the check of a mapping never raises: a field that is null is incomplete"
    if _is_of_javascript(theirs) or _OF_JAVASCRIPT.search(str((case["config"], case["input"]))):
        return "a name of JavaScript's own (`constructor`, `__proto__`) is a key like any other"
    return None


def _is_of_javascript(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("$js") == "function" or any(map(_is_of_javascript, value.values()))
    return isinstance(value, list) and any(map(_is_of_javascript, value))
