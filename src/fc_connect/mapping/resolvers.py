"""The built-in resolvers, by the names of the TypeScript SDK, and strict.

Where that SDK turns text that is no number into 0, or "12abc" into 12, these raise: the record is rejected with the
value and the reason, and no wrong stock goes out. None stays None: an absent value is no fault of a resolver.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from fc_connect.mapping.dates import ISO, DateStyle, zone
from fc_connect.mapping.numbers import LOCALES, NumberStyle, parse_decimal, parse_int, parse_number
from fc_connect.mapping.patterns import compile_pattern

__all__ = ["RESOLVERS", "Builtin", "resolver_names"]

_TRUE = {"true", "1", "yes", "y"}
_FALSE = {"false", "0", "no", "n"}
_SPACE = " \t\n\r\v\f\u00a0\ufeff\u2028\u2029"
_LONGEST = 100_000  # characters that a pattern is tried on, or that a text may grow to


def uppercase(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def lowercase(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def trim(value: Any) -> Any:
    return value.strip(_SPACE) if isinstance(value, str) else value


def boolean(value: Any) -> bool | None:
    """Return true for true, 1, yes, y; false for false, 0, no, n; in any case."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("expected true or false (or yes, no, y, n, 1, 0)")


def to_string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    if isinstance(value, date):  # of Parquet; as JSON has it
        return value.isoformat().replace("+00:00", "Z")
    raise ValueError("expected text or a number")


def parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except ValueError as exc:
        raise ValueError(f"expected JSON: {exc}") from exc


def to_json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def format_date(value: Any) -> Any:
    """Return an ISO 8601 instant in UTC with milliseconds; a date without a zone is UTC."""
    return value if value is None or value == "" else _iso(ISO.instant(value))


def format_date_short(value: Any) -> Any:
    """Return the UTC date as YYYY-MM-DD."""
    return value if value is None or value == "" else ISO.instant(value).date().isoformat()


def same(value: Any) -> Any:
    return value


def text_hash(value: Any) -> str | None:
    """Return the SHA-256 of a text or number, in hexadecimal."""
    return None if value is None else hashlib.sha256(to_string(value).encode()).hexdigest()


def new_uuid(value: Any) -> str:
    """Return a random UUID (version 4)."""
    return str(uuid.uuid4())


# With options


def numbers_with(
    parse: Callable[[Any, NumberStyle], Any],
) -> Callable[..., Callable[[Any], Any]]:
    def make(
        *, decimal: str | None = None, group: str | None = None, locale: str | None = None
    ) -> Callable[[Any], Any]:
        mark, groups = ".", ""
        if locale is not None:
            found = LOCALES.get(locale.replace("_", "-")) or LOCALES.get(locale[:2])
            if found is None:
                raise ValueError(f"locale {locale!r} isn't known; give `decimal` and `group`")
            mark, groups = found
        style = NumberStyle(mark if decimal is None else decimal, groups if group is None else group)
        if (
            len(style.decimal) != 1
            or style.decimal in style.group
            or any(c in "+-0123456789" for c in style.group)
        ):
            raise ValueError("`decimal` must be one character, and none of those in `group`")
        return lambda value: parse(value, style)

    return make


def dates_with(*, is_day: bool) -> Callable[..., Callable[[Any], Any]]:
    def make(
        *,
        format: str | list[str] = "iso",  # noqa: A002 (as the mapping says it)
        timezone: str = "UTC",
        ambiguous: Literal["earlier", "later"] | None = None,
        to: str | None = None,
        to_timezone: str = "UTC",
    ) -> Callable[[Any], Any]:
        formats = (format,) if isinstance(format, str) else tuple(format)
        style = DateStyle(formats, zone(timezone), ambiguous)
        shown_in = zone(to_timezone)

        def resolve(value: Any) -> Any:
            if value is None or value == "":
                return value
            instant = style.instant(value)
            if to is not None:
                return instant.astimezone(shown_in).strftime(to)
            return instant.astimezone(shown_in).date().isoformat() if is_day else _iso(instant)

        return resolve

    return make


def split(*, separator: str, trim: bool = True, index: int | None = None) -> Callable[[Any], Any]:
    if not separator:
        raise ValueError("`separator` must not be empty")

    def resolve(value: Any) -> Any:
        if value is None:
            return None
        parts = _text(value).split(separator) if value != "" else []
        parts = [part.strip() for part in parts] if trim else parts
        if index is None:
            return parts
        return parts[index] if -len(parts) <= index < len(parts) else None

    return resolve


def join(*, separator: str = ",") -> Callable[[Any], Any]:
    def resolve(value: Any) -> Any:
        if value is None or not isinstance(value, list):
            return value
        return separator.join(to_string(each) for each in value if each is not None)

    return resolve


def replace(*, search: str, replacement: str = "", regex: bool = False) -> Callable[[Any], Any]:
    if not search:
        raise ValueError("`search` must not be empty")
    pattern = compile_pattern(search) if regex else None

    def resolve(value: Any) -> Any:
        if value is None:
            return None
        text = _text(value)
        if pattern is not None:
            return pattern.replaced(text, replacement)
        return text.replace(search, replacement)

    return resolve


def substring(*, start: int = 0, end: int | None = None) -> Callable[[Any], Any]:
    return lambda value: None if value is None else _text(value)[start:end]


def default_to(*, value: Any) -> Callable[[Any], Any]:
    if isinstance(value, dict | list):
        raise ValueError("`value` must be text, a number, true, false or null")  # noqa: TRY004
    constant = value

    def resolve(value: Any) -> Any:
        return constant if value is None or value == "" else value

    return resolve


def hash_with(
    *, algorithm: Literal["sha256", "sha1", "sha512", "md5"] = "sha256", length: int | None = None
) -> Callable[[Any], Any]:
    def resolve(value: Any) -> Any:
        if value is None:
            return None
        found = hashlib.new(algorithm, to_string(value).encode(), usedforsecurity=False).hexdigest()
        return found[:length]

    return resolve


def uuid_with(*, namespace: str) -> Callable[[Any], Any]:
    try:
        space = uuid.UUID(namespace)
    except ValueError:
        space = uuid.uuid5(uuid.NAMESPACE_URL, namespace)

    return lambda value: None if value is None else str(uuid.uuid5(space, to_string(value)))


@dataclass(frozen=True, slots=True)
class Builtin:
    """A resolver that is always there."""

    function: Callable[[Any], Any] | None
    """Without options; None where it needs some."""
    make: Callable[..., Callable[[Any], Any]] | None = None
    """Takes the options by keyword and gives the function. A ValueError says what of them can't be used."""
    keeps_none: bool = True
    code: str | None = None
    """An expression that gives the same for a text `v`, and is quicker."""
    is_remembered: bool = False
    """Whether what it gave for a text may be given again."""


_STRIP = f"v.strip({_SPACE!r})"

RESOLVERS: Mapping[str, Builtin] = {
    "sdk.uppercase": Builtin(uppercase, code="v.upper()"),
    "sdk.lowercase": Builtin(lowercase, code="v.lower()"),
    "sdk.trim": Builtin(trim, code=_STRIP),
    "sdk.parseInt": Builtin(parse_int, numbers_with(parse_int), is_remembered=True),
    "sdk.parseFloat": Builtin(parse_number, numbers_with(parse_number), is_remembered=True),
    "sdk.number": Builtin(parse_number, numbers_with(parse_number), is_remembered=True),
    "sdk.decimal": Builtin(parse_decimal, numbers_with(parse_decimal), is_remembered=True),
    "sdk.boolean": Builtin(boolean, is_remembered=True),
    "sdk.toString": Builtin(to_string, keeps_none=False, code="v"),
    "sdk.parseJson": Builtin(parse_json),
    "sdk.toJson": Builtin(to_json),
    "sdk.formatDate": Builtin(format_date, dates_with(is_day=False), is_remembered=True),
    "sdk.formatDateShort": Builtin(format_date_short, dates_with(is_day=True), is_remembered=True),
    "sdk.parseDate": Builtin(format_date, dates_with(is_day=False), is_remembered=True),
    "sdk.default": Builtin(same, code="v"),
    "sdk.identity": Builtin(same, code="v"),
    "sdk.coalesce": Builtin(same, code="v"),
    "sdk.uuid": Builtin(new_uuid, uuid_with, keeps_none=False),
    "sdk.hash": Builtin(text_hash, hash_with),
    "sdk.split": Builtin(None, split),
    "sdk.join": Builtin(join(), join),
    "sdk.replace": Builtin(None, replace),
    "sdk.substring": Builtin(None, substring),
    "sdk.defaultTo": Builtin(None, default_to, keeps_none=False),
}
"""`sdk.concat` isn't here: it reads other fields, and the plan makes it."""


def resolver_names() -> tuple[str, ...]:
    """Return the names of the built-in resolvers."""
    return (*RESOLVERS, "sdk.concat")


def _text(value: Any) -> str:
    text = to_string(value)
    if len(text) > _LONGEST:
        raise ValueError(f"expected at most {_LONGEST:,} characters")
    return text


def _iso(instant: Any) -> str:
    text: str = instant.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} isn't JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is given twice, and which of the two counts can't be known")
    return content
