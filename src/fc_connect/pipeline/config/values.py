"""Kinds of value that a pipeline file holds: durations, limits, counts, secrets, paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

__all__ = [
    "Count",
    "Duration",
    "Flag",
    "LocalPath",
    "RejectLimit",
    "Rejects",
    "Secret",
    "Text",
    "at_least",
    "base_dir_of",
    "more_than_zero",
    "read_secret",
]

_UNITS = {unit: Decimal(s) for unit, s in (("ms", "0.001"), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400))}
_SHORT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
# Years and months are left out: they have no length of their own.
_ISO = re.compile(r"P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_ISO_SECONDS = (604_800, 86_400, 3600, 60, 1)
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_FROM_ENVIRONMENT = {"type": "string", "pattern": r"^\$\{.+\}$"}
_MAX_DAYS = 1_000_000
_MAX_SECRET_BYTES = 64 * 1024


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'expected a duration with its unit, got the bare number {value}: write "{value}s"')  # noqa: TRY004 (pydantic reads ValueError)
    text = value.strip() if isinstance(value, str) else ""
    seconds: Decimal | None = None
    if _SHORT.fullmatch(text):
        seconds = sum((Decimal(n) * _UNITS[unit] for n, unit in _PART.findall(text)), Decimal())
    elif iso := _ISO.fullmatch(text):
        seconds = sum(
            (Decimal(n) * s for n, s in zip(iso.groups(), _ISO_SECONDS, strict=True) if n), Decimal()
        )
    if seconds is None:
        raise ValueError('expected a duration such as "500ms", "30s", "15m", "2h", "1d" or "PT15M"')
    if seconds >= 86_400 * _MAX_DAYS:
        raise ValueError("expected a duration of less than a million days")
    return timedelta(seconds=int(seconds), microseconds=int(seconds % 1 * 1_000_000))


def at_least(least: timedelta) -> AfterValidator:
    """Refuse durations below `least`."""

    def check(value: timedelta) -> timedelta:
        if value < least:
            raise ValueError(f"expected at least {least.total_seconds():g}s")
        return value

    return AfterValidator(check)


def _not_zero(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected more than 0s")
    return value


more_than_zero = AfterValidator(_not_zero)
"""Refuses a duration of nothing."""


def _count(value: Any) -> int:
    # A value from the environment is always text, so digits in text count as well; a boolean never does.
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    raise ValueError("expected a whole number")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError("expected true or false")


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectLimit:
    """How many records of a file may be rejected: `count` of them, or the share `ratio` (0 to 1)."""

    count: int | None = None
    ratio: float | None = None

    def exceeded(self, rejected: int, total: int) -> bool:
        """Say whether `rejected` of `total` records are too many."""
        if self.ratio is not None:
            # Exact: as floats, 29 % of 100 is less than 29.
            return rejected > Fraction(repr(self.ratio)) * total
        return rejected > (self.count or 0)

    def __str__(self) -> str:
        return str(self.count or 0) if self.ratio is None else _percent(self.ratio)


def _percent(ratio: float) -> str:
    return f"{(Decimal(repr(ratio)) * 100).normalize():f}%"


def _reject_limit(value: Any) -> RejectLimit:
    if isinstance(value, RejectLimit):
        return value
    if isinstance(value, float):
        raise ValueError(  # noqa: TRY004 (pydantic reads ValueError)
            f'expected a count such as 100, or a percentage such as "1%"; for a share of {value} write '
            f'"{_percent(value)}"'
        )
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            percent = Decimal(value.strip()[:-1].strip())
        except InvalidOperation:
            percent = Decimal(-1)
        if not percent.is_finite() or not 0 <= percent <= 100:
            raise ValueError('expected a percentage from "0%" to "100%"')
        return RejectLimit(ratio=float(percent / 100))
    try:
        count = _count(value)
    except ValueError:
        raise ValueError('expected a count such as 100, or a percentage such as "1%"') from None
    if count < 0:
        raise ValueError("expected a count of 0 or more")
    return RejectLimit(count=count)


def base_dir_of(info: ValidationInfo) -> Path:
    """Return the folder that relative paths start from."""
    context = info.context
    return context["base_dir"] if isinstance(context, dict) and "base_dir" in context else Path.cwd()


def read_secret(value: str, *, base: Path) -> str:
    """Return what a mounted secret holds if `value` is `file:<path>`, else `value` itself.

    One trailing line end is left out, since editors and `echo` put it there.
    """
    if not value.startswith("file:"):
        return value
    named = value.removeprefix("file:")
    path = base / Path(named.removeprefix("//") if named.startswith("///") else named).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
    except OSError as exc:
        raise ValueError(f"the secret file {path} can't be read: {exc.strerror}") from exc
    except (RuntimeError, ValueError) as exc:  # no home for `~`, or a NUL in the path
        raise ValueError(f"the secret file {named!r} can't be read: {exc}") from exc
    if len(content) > _MAX_SECRET_BYTES:
        raise ValueError(
            f"the secret file {path} is larger than {_MAX_SECRET_BYTES // 1024} KiB: not a secret"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"the secret file {path} isn't UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"the secret file {path} is empty")
    return text


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str):
        raise ValueError("expected text: quote it")  # noqa: TRY004 (pydantic reads ValueError)
    if not value:
        raise ValueError("is empty: leave it out or give a value")
    return SecretStr(read_secret(value, base=base_dir_of(info)))


def _local_path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return base_dir_of(info) / value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("expected a path")
    if "://" in value:
        raise ValueError("expected a path on this machine, not a URL")
    try:
        return base_dir_of(info) / Path(value).expanduser()
    except RuntimeError as exc:
        raise ValueError(f"expected a path: {exc}") from exc


Text = Annotated[str, StringConstraints(min_length=1)]
"""Text that isn't empty."""

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^((\d+(\.\d+)?(ms|s|m|h|d))+|P.+|.*\$\{.+\}.*)$",
            "examples": ["500ms", "30s", "15m", "2h", "1d", "PT15M"],
        }
    ),
]
"""A time with its unit: `500ms`, `30s`, `15m`, `2h`, `1d`, `1h30m`, or ISO 8601 (`PT15M`)."""

Count = Annotated[int, BeforeValidator(_count)]
"""A whole number, also as digits from the environment."""

Flag = Annotated[
    bool, BeforeValidator(_flag), WithJsonSchema({"anyOf": [{"type": "boolean"}, _FROM_ENVIRONMENT]})
]
"""true or false."""

Rejects = Annotated[
    RejectLimit,
    BeforeValidator(_reject_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*%|\d+|.*\$\{.+\}.*)$"},
            ],
            "examples": [0, 100, "1%", "0.5%"],
        }
    ),
]
"""A count (`100`) or a percentage (`1%`)."""

Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "examples": ["${FLUENT_SECRET}", "file:/run/secrets/x"]}
    ),
]
"""Text that is never shown; `file:<path>` reads it from a mounted file."""

LocalPath = Annotated[Path, BeforeValidator(_local_path), WithJsonSchema({"type": "string", "minLength": 1})]
"""A path on this machine, relative to the folder of the pipeline file; made absolute."""
