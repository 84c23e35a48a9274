"""The structure of a source: its paths, what lies there, and the resolver that each seems to want."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.paths import parse_path
from fc_connect.mapping.shapes import DateForm, TextShape

__all__ = ["FieldProfile", "SourceProfiler", "Suggestion", "path_step", "records_in", "relative_path"]

MAX_PATHS = 2_000
"""Kept; a record with more is data in the place of names."""
MAX_DEPTH = 30
_MAX_DISTINCT = 1_000
_SAMPLES = 5
_SAMPLE_CHARACTERS = 60
_ENUM_VALUES = 12
_ENUM_REPEATS = 3
_ENUM_CHARACTERS = 40
_DATE_NAME = re.compile(r"date|time|created|updated|expires|expiry|expected|\b(?:at|on|day)\b", re.IGNORECASE)
_IDENTIFIER_NAME = re.compile(
    r"\b(?:sku|ref|id|code|gtin|ean|upc|isbn|barcode|zip|postcode|postal|phone|number|no|nr)\b", re.IGNORECASE
)
_EPOCH = (946_684_800, 4_102_444_800)  # from 2000 to 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What to do with a value, and why."""

    looks_like: str
    resolver: Any
    """A resolver as a mapping names it; None where none is needed or a person must decide."""
    why: str
    must_decide: bool = False
    """Whether what was seen allows several meanings, and only a person knows which."""


@dataclass(slots=True)
class FieldProfile:
    """What was seen at one path."""

    path: str
    """As a mapping writes it; `items[*].sku` lies in every item of a list."""
    name: str
    parent: str = ""
    """Path of the object that it lies in; of the items, where that is a list."""
    parents: int = 0
    """Objects in which it could have been."""
    present: int = 0
    nulls: int = 0
    empty: int = 0
    types: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    """Types of what lists hold."""
    distinct: dict[str, None] = field(default_factory=dict)
    min_length: int | None = None
    max_length: int | None = None
    smallest: float | None = None
    largest: float | None = None
    shape: TextShape = field(default_factory=TextShape)

    @property
    def absent(self) -> int:
        return max(0, self.parents - self.present)

    @property
    def samples(self) -> list[str]:
        return list(self.distinct)[:_SAMPLES]

    @property
    def holds_fields(self) -> bool:
        """Whether every value is an object, or a list of nothing but objects."""
        return bool(self.value_types) and not (
            self.value_types - {"object", "list"} or self.items.keys() - {"object"}
        )

    @property
    def missing(self) -> int:
        """How often there was no value."""
        return self.absent + self.nulls + self.empty

    @property
    def is_plain(self) -> bool:
        """Whether it holds neither objects nor lists."""
        return not self.types.keys() & {"object", "list"}

    @property
    def value_types(self) -> set[str]:
        """Types other than null."""
        return {name for name in self.types if name != "null"}

    def add(self, value: Any) -> None:
        """Take one value into account."""
        self.present += 1
        kind = _kind(value)
        self.types[kind] += 1
        if value is None:
            self.nulls += 1
        elif isinstance(value, str):
            self._add_text(value)
        elif kind in {"list", "object"}:
            self.empty += not value
            self.items.update(map(_kind, value if kind == "list" else ()))
        else:
            self._note(str(value))
            if kind in {"whole number", "number"}:
                number = _float(value)
                self.smallest = number if self.smallest is None else min(self.smallest, number)
                self.largest = number if self.largest is None else max(self.largest, number)

    def suggestion(self) -> Suggestion:
        """Return what the values look like, and the resolver that fits them."""
        kinds = self.value_types
        if not kinds:
            return Suggestion(looks_like="nothing", resolver=None, why="no value was seen", must_decide=True)
        if kinds == {"text"}:
            return self._text_suggestion()
        if kinds <= {"whole number", "number"}:
            return self._number_suggestion(kinds)
        if kinds == {"boolean"}:
            return Suggestion(looks_like="boolean", resolver=None, why="true and false need no resolver")
        if kinds <= {"list", "object"} and self.items.keys() - {"object"}:
            of = ", ".join(name if name == "null" else f"{name}s" for name in sorted(self.items))
            return Suggestion(looks_like=f"list of {of}", resolver=None, why="is carried over whole")
        if kinds <= {"list"}:
            return Suggestion(looks_like="list", resolver=None, why="map its items with isArray and fields")
        if kinds <= {"object"}:
            return Suggestion(looks_like="object", resolver=None, why="map what is in it")
        if kinds <= {"list", "object"}:
            return Suggestion(
                looks_like="list, or an object in place of a list of one",
                resolver=None,
                why="isArray takes both",
            )
        return Suggestion(
            looks_like="a mixture",
            resolver=None,
            why=f"the values are of several types ({', '.join(sorted(kinds))})",
            must_decide=True,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what was found, for JSON."""
        found = self.suggestion()
        return {
            "path": self.path,
            "types": dict(self.types.most_common()),
            "present": self.present,
            "absent": self.absent,
            "null": self.nulls,
            "empty": self.empty,
            "distinct": len(self.distinct),
            "distinctIsMore": len(self.distinct) >= _MAX_DISTINCT,
            "samples": self.samples,
            "minLength": self.min_length,
            "maxLength": self.max_length,
            "min": _finite(self.smallest),
            "max": _finite(self.largest),
            "leadingZeros": self.shape.leading_zeros,
            "spacesAround": self.shape.padded,
            "looksLike": found.looks_like,
            "resolver": found.resolver,
            "why": found.why,
            "mustDecide": found.must_decide,
        }

    def _add_text(self, text: str) -> None:
        if not text.strip():
            self.empty += 1
            return
        self._note(text)
        self.shape.add(text)
        length = len(text)
        self.min_length = length if self.min_length is None else min(self.min_length, length)
        self.max_length = length if self.max_length is None else max(self.max_length, length)

    def _note(self, text: str) -> None:
        if len(self.distinct) < _MAX_DISTINCT:
            shown = text if len(text) <= _SAMPLE_CHARACTERS else text[: _SAMPLE_CHARACTERS - 1] + "…"
            self.distinct.setdefault(shown)

    def _text_suggestion(self) -> Suggestion:
        shape = self.shape
        if not shape.count:
            return Suggestion(
                looks_like="nothing", resolver=None, why="every value is empty", must_decide=True
            )
        if shape.leading_zeros:
            return Suggestion(
                looks_like="text of digits",
                resolver="sdk.trim" if shape.padded else "sdk.toString",
                why=f"keep as text: {shape.leading_zeros:,} have leading zeros, which a number would lose",
            )
        if shape.booleans:
            return Suggestion(
                looks_like="boolean", resolver="sdk.boolean", why="all are words for true or false"
            )
        words = _words(self.name)
        if dates := self._dates(words):
            return _date_suggestion(dates)
        if shape.numbers:
            return self._numeric_suggestion(words)
        if self._is_enum():
            return Suggestion(
                looks_like=f"enum: {', '.join(self.distinct)}",
                resolver="sdk.trim" if shape.padded else None,
                why=f"{shape.count:,} values are of {len(self.distinct)} kinds",
            )
        if shape.padded:
            return Suggestion(
                looks_like="text", resolver="sdk.trim", why=f"{shape.padded:,} have spaces around them"
            )
        return Suggestion(looks_like="text", resolver=None, why="text needs no resolver")

    def _dates(self, words: str) -> list[DateForm]:
        forms = sorted(self.shape.dates or ())
        if all(each.pattern == "%Y%m%d" for each in forms) and not _DATE_NAME.search(words):
            return []  # eight digits, and nothing in the name says that they are a date
        return forms

    def _numeric_suggestion(self, words: str) -> Suggestion:
        shape = self.shape
        if shape.whole:
            if _IDENTIFIER_NAME.search(words) or shape.longest_digits > 18:
                return Suggestion(
                    looks_like="text of digits",
                    resolver="sdk.trim" if shape.padded else "sdk.toString",
                    why="keep as text: it names something, and is no quantity",
                )
            why = "all are whole numbers"
            if set(self.distinct) <= {"0", "1"}:
                why += "; or sdk.boolean, if 0 and 1 mean false and true"
            return Suggestion(looks_like="whole number", resolver="sdk.parseInt", why=why)
        if "point" in shape.numbers:
            ambiguous = "comma, grouped by points" in shape.numbers
            return Suggestion(
                looks_like="number, decimal point",
                resolver="sdk.parseFloat",
                why="1.234 may be a thousand grouped by points: a person must decide"
                if ambiguous
                else "all are numbers with a decimal point",
                must_decide=ambiguous,
            )
        if "point, grouped by commas" in shape.numbers and len(shape.numbers) > 1:
            return Suggestion(
                looks_like="number, decimal comma or groups of three",
                resolver=None,
                why="1,234 may be a thousand or a bit more than one: a person must decide",
                must_decide=True,
            )
        style = min(shape.numbers)
        mark, group = {
            "comma": (",", ""),
            "point, grouped by commas": (".", ","),
            "comma, grouped by points": (",", "."),
        }[style]
        options = {"decimal": mark, "group": group or ("." if mark == "," else ",")}
        return Suggestion(
            looks_like=f"number, decimal {style}",
            resolver={"name": "sdk.parseFloat", **options},
            why=f"all are numbers with a decimal {style}",
        )

    def _number_suggestion(self, kinds: set[str]) -> Suggestion:
        low, high = self.smallest or 0, self.largest or 0
        if kinds == {"whole number"} and _DATE_NAME.search(_words(self.name)):
            for scale, form in ((1, "epoch"), (1000, "epochMillis")):
                if _EPOCH[0] <= low / scale <= high / scale <= _EPOCH[1]:
                    return Suggestion(
                        looks_like=f"date, {'milliseconds' if scale > 1 else 'seconds'} since 1970",
                        resolver={"name": "sdk.parseDate", "format": form},
                        why="the name says date, and all lie between 2000 and 2100",
                    )
        name = "whole number" if kinds == {"whole number"} else "number"
        return Suggestion(looks_like=name, resolver=None, why="numbers need no resolver")

    def _is_enum(self) -> bool:
        return (
            len(self.distinct) <= _ENUM_VALUES
            and self.shape.count >= _ENUM_REPEATS * len(self.distinct)
            and (self.max_length or 0) <= _ENUM_CHARACTERS
        )


class SourceProfiler:
    """Takes records one by one and keeps what a bounded memory can of them."""

    def __init__(self, *, is_flat: bool = False) -> None:
        """Begin; with `is_flat` the names are columns, and no paths."""
        self._is_flat = is_flat
        self.records = 0
        self.paths_left_out = 0
        self._fields: dict[str, FieldProfile] = {}
        self._objects: Counter[str] = Counter()

    @property
    def fields(self) -> list[FieldProfile]:
        """What was found, each path after the one that it lies in."""
        for profile in self._fields.values():
            profile.parents = self._objects[profile.parent]
        return list(self._fields.values())

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one record into account."""
        self.records += 1
        self._object("", record, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return what was found, for JSON."""
        return {
            "records": self.records,
            "pathsLeftOut": self.paths_left_out,
            "fields": [each.to_dict() for each in self.fields],
        }

    def _object(self, path: str, value: Mapping[str, Any], depth: int) -> None:
        self._objects[path] += 1
        for name, each in value.items():
            if name != "#text" or each not in (None, ""):  # an element of XML that has attributes alone
                self._value(path, str(name), each, depth)

    def _value(self, parent: str, name: str, value: Any, depth: int) -> None:
        step = name if self._is_flat else path_step(name)
        path = f"{parent}{'' if step.startswith('[') else '.'}{step}" if parent else step
        profile = self._fields.get(path)
        if profile is None:
            if len(self._fields) >= MAX_PATHS or depth > MAX_DEPTH:
                self.paths_left_out += 1
                return
            profile = self._fields[path] = FieldProfile(path=path, name=name, parent=parent)
        if isinstance(value, list) and "list" not in profile.types:
            self._becomes_list(path)
        profile.add(value)
        # What is a list in one record may be a single object in another, as XML writes a list of one.
        items = value if isinstance(value, list) else [value]
        below = f"{path}[*]" if "list" in profile.types else path
        for item in items:
            if isinstance(item, Mapping):
                self._object(below, item, depth + 1)

    def _becomes_list(self, path: str) -> None:
        """Move what was seen in an object at the path to the items of a list there."""
        moved: dict[str, FieldProfile] = {}
        for profile in self._fields.values():
            if profile.parent == path or profile.parent.startswith((f"{path}.", f"{path}[")):
                profile.path = f"{path}[*]{profile.path[len(path) :]}"
                profile.parent = f"{path}[*]{profile.parent[len(path) :]}"
            moved[profile.path] = profile
        self._fields = moved
        for parent in [
            each for each in self._objects if each == path or each.startswith((f"{path}.", f"{path}["))
        ]:
            self._objects[f"{path}[*]{parent[len(path) :]}"] += self._objects.pop(parent)


def path_step(name: str) -> str:
    """Return a key as a path writes it: quoted where it holds what a path has a meaning for."""
    try:
        if name == "#text" or parse_path(name).steps == (name,):
            return name
    except ConfigurationError:
        pass
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def relative_path(path: str, above: str) -> str:
    """Return a path as it is from the object at the path `above`."""
    return path[len(above) :].removeprefix(".") if above else path


def records_in(document: Any) -> tuple[list[Any], str]:
    """Return the records of a document, and the path of the list that they are.

    A list is its items. In an object it is the list of objects nearest to the top; without one, the object itself is
    the only record.
    """
    if isinstance(document, list):
        return document, ""
    level: list[tuple[str, Any]] = [("", document)]
    for _ in range(MAX_DEPTH):
        below = []
        for path, value in level:
            if not isinstance(value, Mapping):
                continue
            for name, each in value.items():
                at = f"{path}.{path_step(str(name))}" if path else path_step(str(name))
                if isinstance(each, list) and each and all(isinstance(item, Mapping) for item in each):
                    return _nodes(each), at
                below.append((at, each))
        level = below
    return [document], ""


def _nodes(items: list[Any]) -> list[Any]:
    """Return the nodes of a connection's edges; other items as they are."""
    if all(isinstance(item.get("node"), Mapping) for item in items):
        return [item["node"] for item in items]
    return items


def _date_suggestion(forms: list[DateForm]) -> Suggestion:
    names = " or ".join(each.name for each in forms)
    if len(forms) > 1 and not any(each.pattern == "iso" for each in forms):
        return Suggestion(
            looks_like=f"date, {names}",
            resolver=None,
            why="these values don't tell which number is the day: a person must decide",
            must_decide=True,
        )
    form = next((each for each in forms if each.pattern == "iso"), forms[0])
    resolver = "sdk.parseDate" if form.pattern == "iso" else {"name": "sdk.parseDate", "format": form.pattern}
    return Suggestion(looks_like=f"date, {form.name}", resolver=resolver, why=f"all are dates as {form.name}")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, float | Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    return (
        "object"
        if isinstance(value, Mapping)
        else "list"
        if isinstance(value, list)
        else type(value).__name__
    )


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _words(name: str) -> str:
    """Return a name as words: `createdOn`, `created_on` and `CREATED-ON` are `created on`."""
    return re.sub(r"[^A-Za-z0-9]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower()
