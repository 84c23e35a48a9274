"""Asks Node and ourselves the same about random values."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from fc_connect.mapping.compat_resolvers import COMPAT_RESOLVERS
from fc_connect.mapping.javascript import (
    INVALID_DATE,
    WHITESPACE,
    date_milliseconds,
    is_truthy,
    parse_float,
    parse_int,
    read_json,
    to_json,
    to_number,
    to_string,
)
from fc_connect.mapping.javascript_dates import date_text
from tests.javascript.values import KINDS
from tests.mapping_cases import same

__all__ = ["WANTED_MAJOR", "differences", "node_version"]

WANTED_MAJOR = 20
"""Of Node: the one that the TypeScript SDK was watched on. Another may read odd dates otherwise."""


def node_version() -> tuple[int, str] | None:
    """Return the major version and the whole of Node's, None where there is no Node."""
    try:
        told = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return int(told.lstrip("v").split(".")[0]), told


def differences(*, seed: int, examples: int, zone: str) -> list[str]:
    """Return what we make otherwise of `examples` values of each kind, where local time is that of `zone`."""
    random = Random(seed)
    ours = _answers(ZoneInfo(zone))
    questions = [
        (name, value)
        for make, names in KINDS.values()
        for value in [make(random) for _ in range(examples)]
        for name in names
        # The resolvers' own zone is UTC, whatever the machine's.
        if zone == "UTC" or not name.startswith("sdk.")
    ]
    asked = json.dumps([(name, json.dumps(value)) for name, value in questions]).encode()
    told = subprocess.run(
        ["node", str(Path(__file__).with_name("oracle.js"))],
        input=asked,
        capture_output=True,
        check=True,
        env={**os.environ, "TZ": zone},
    ).stdout
    found = []
    for (name, value), theirs in zip(questions, json.loads(told), strict=True):
        answer = ours[name](value)
        if not same(answer, theirs) and not _is_beyond_datetime(answer, theirs):
            found.append(f"{name}({value!r}) is {theirs!r}, not {answer!r}")
    return found


def _is_beyond_datetime(ours: Any, theirs: Any) -> bool:
    """Say whether it is a date of a year that Python's dates don't have, for which we have a stand-in."""
    iso = theirs["iso"] if isinstance(theirs, Mapping) and theirs.get("$js") == "date" else ""
    return ours is INVALID_DATE and (iso[:1] in {"+", "-"} or iso[:4] == "0000")


def _answers(tz: tzinfo) -> dict[str, Callable[[Any], Any]]:
    return {
        **COMPAT_RESOLVERS,
        "text": to_string,
        "json": to_json,
        "number": to_number,
        "parseInt": parse_int,
        "parseFloat": parse_float,
        "truthy": is_truthy,
        "trimmed": lambda value: to_string(value).strip(WHITESPACE),
        "upper": lambda value: value.upper(),
        "lower": lambda value: value.lower(),
        "milliseconds": lambda value: _or_nan(date_milliseconds(value, tz=tz)),
        "dateText": lambda value: date_text(value, tz=tz).partition(" (")[0],
        "readJson": _read_again,
    }


def _or_nan(milliseconds: int | None) -> float:
    return float("nan") if milliseconds is None else milliseconds


def _read_again(text: str) -> str | None:
    try:
        return str(to_json(read_json(text)))
    except ValueError:
        return None
