"""What an error code of Fluent means for who has to act on it.

The bands are those of Fluent's documentation of error codes: C for what the caller sent, S for Fluent itself, T for
what Fluent depends on. Only a letter, four digits and `E` or `W` are such a code; `CONFLICT` isn't.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from fc_connect.errors import (
    AuthenticationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    GraphQLError,
)

__all__ = ["Action", "Category", "Classification", "classify_error"]


class Category(StrEnum):
    """Whose error it is."""

    CLIENT = "CLIENT_ERROR"
    SERVER = "SERVER_ERROR"
    THIRD_PARTY = "THIRD_PARTY_ERROR"
    UNKNOWN = "UNKNOWN"


class Action(StrEnum):
    """What to do about it."""

    FIX = "FIX_AND_RETRY"
    LATER = "RETRY_LATER"
    SUPPORT = "CONTACT_SUPPORT"
    VERIFY = "VERIFY_PAYLOAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What an error means."""

    category: Category
    action: Action
    is_retryable: bool
    """Whether the very same request may succeed later. Whether it is safe to send again is another question: see
    `FluentOutcomeUnknownError`."""
    retry_after: timedelta | None = None
    """How long to wait at least."""
    code: str | None = None
    message: str


_Verdict = tuple[bool, float, Action]
_LATER_30: _Verdict = (True, 30, Action.LATER)
_FIX: _Verdict = (False, 0, Action.FIX)
_VERIFY: _Verdict = (False, 0, Action.VERIFY)
_SUPPORT: _Verdict = (False, 0, Action.SUPPORT)

_CODE = re.compile(r"([CST])([0-9]{4})([EW]?)")
_CODE_IN_TEXT = re.compile(r"\b([CST][0-9]{4}[EW])\b")
_CATEGORIES = {"C": Category.CLIENT, "S": Category.SERVER, "T": Category.THIRD_PARTY}
_CODES: Mapping[str, _Verdict] = {
    "C0001": _FIX,  # too complex
    "C0003": (True, 60, Action.LATER),  # a virtual view is warming up
    "C0011": (True, 60, Action.LATER),  # rate limit
    "C0020": _SUPPORT,  # no permission
    "C0120": _VERIFY,  # not found
    "C0121": _VERIFY,  # the order exists
    "C0122": _FIX,  # negative quantity
    "C0123": _VERIFY,  # not unique
    "C0128": _FIX,  # product named twice
    "S0002": _LATER_30,
    "S0020": _LATER_30,
    "S0030": _SUPPORT,  # a view isn't set up
    "S0040": (True, 10, Action.LATER),  # authentication service
}
_BANDS: Sequence[tuple[str, range, _Verdict]] = (
    ("C", range(100, 120), _FIX),  # dates
    ("C", range(120, 140), _VERIFY),
    ("C", range(140, 160), _FIX),  # formats
    ("C", range(160, 180), _FIX),  # custom
    ("C", range(10_000), _VERIFY),
    ("S", range(1, 20), _SUPPORT),  # configuration
    ("S", range(10_000), _LATER_30),
    ("T", range(10_000), _LATER_30),
)
# Names that GraphQL servers give, beside Fluent's own codes.
_NAMES: Mapping[str, tuple[Category, _Verdict]] = {
    "UNAUTHENTICATED": (Category.CLIENT, _SUPPORT),
    "FORBIDDEN": (Category.CLIENT, _SUPPORT),
    "GRAPHQL_PARSE_FAILED": (Category.CLIENT, _FIX),
    "GRAPHQL_VALIDATION_FAILED": (Category.CLIENT, _FIX),
    "BAD_USER_INPUT": (Category.CLIENT, _FIX),
    "INTERNAL_SERVER_ERROR": (Category.SERVER, _LATER_30),
    # Of graphql-java, as `extensions.classification`.
    "InvalidSyntax": (Category.CLIENT, _FIX),
    "ValidationError": (Category.CLIENT, _FIX),
    "OperationNotSupported": (Category.CLIENT, _FIX),
}
_KEYWORDS: Sequence[tuple[re.Pattern[str], Category, _Verdict]] = tuple(
    (re.compile(pattern, re.IGNORECASE), category, verdict)
    for pattern, category, verdict in (
        (r"\b(already )?exists\b|\bduplicate", Category.CLIENT, _VERIFY),
        (r"\bnot found\b", Category.CLIENT, _VERIFY),
        (r"\brequired\b|\bmissing\b|\bnull value\b", Category.CLIENT, _FIX),
        (r"\btime(d )?[ -]?out\b|\bconnection\b|\bnetwork\b", Category.SERVER, _LATER_30),
        (r"\bserver error\b", Category.SERVER, _LATER_30),
    )
)


def classify_error(error: FluentAPIError | Mapping[str, Any]) -> Classification:
    """Say what an error of the client, or one object of a GraphQL answer's `errors`, means.

    Of several GraphQL errors the first that can't be retried counts: one is enough to make sending again useless.
    """
    if isinstance(error, Mapping):
        return _of_entry(error)
    if isinstance(error, GraphQLError) and error.errors:
        each = [_of_entry(entry) for entry in error.errors]
        return next((found for found in each if not found.is_retryable), each[0])
    message = str(error)
    if isinstance(error, FluentOutcomeUnknownError):
        # Fluent may well take it next time; but it may have taken it already.
        return _made(Category.SERVER, _VERIFY, error.code, message)
    if isinstance(error, FluentUnavailableError):
        return _made(Category.SERVER, _LATER_30, error.code, message)
    if (found := _by_code(error.code, message)) is not None:
        return found
    if isinstance(error, AuthenticationError):
        return _made(Category.CLIENT, _SUPPORT, error.code, message)
    if error.status is not None and 400 <= error.status < 500:
        return _made(Category.CLIENT, _VERIFY if error.status in {404, 409} else _FIX, error.code, message)
    return _by_words(error.code, message)


def _of_entry(entry: Mapping[str, Any]) -> Classification:
    told = entry.get("message")
    message = told if isinstance(told, str) else ""
    extensions = entry.get("extensions")
    told_of = extensions if isinstance(extensions, Mapping) else {}
    code = told_of.get("code") or told_of.get("classification")
    text = str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None
    return _by_code(text, message) or _by_words(text, message)


def _by_code(code: str | None, message: str) -> Classification | None:
    if code is None and (found := _CODE_IN_TEXT.search(message)) is not None:
        code = found[1]
    if code is None:
        return None
    if code in _NAMES:
        category, verdict = _NAMES[code]
        return _made(category, verdict, code, message)
    match = _CODE.fullmatch(code)
    if match is None:
        return None
    letter, number = match[1], int(match[2])
    verdict = _CODES.get(f"{letter}{match[2]}") or next(
        verdict for band, numbers, verdict in _BANDS if band == letter and number in numbers
    )
    return _made(_CATEGORIES[letter], verdict, code, message)


def _by_words(code: str | None, message: str) -> Classification:
    for pattern, category, verdict in _KEYWORDS:
        if pattern.search(message):
            return _made(category, verdict, code, message)
    return _made(Category.UNKNOWN, _SUPPORT, code, message)


def _made(category: Category, verdict: _Verdict, code: str | None, message: str) -> Classification:
    is_retryable, seconds, action = verdict
    return Classification(
        category=category,
        action=action,
        is_retryable=is_retryable,
        retry_after=timedelta(seconds=seconds) if is_retryable else None,
        code=code,
        message=message,
    )
