"""Text: cut, joined, filled in, turned into names. What is no text is refused, as the original throws."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import WHITESPACE, is_truthy, to_number, to_string
from fc_connect.mapping.toolbox.access import field_of
from fc_connect.mapping.values import ABSENT

__all__ = [
    "full_name",
    "hash_string",
    "normalize_whitespace",
    "slugify",
    "template",
    "to_camel_case",
    "to_snake_case",
    "truncate",
    "uuid",
]

_SPACES = re.compile(rf"[{WHITESPACE}]+")
_NOT_OF_A_SLUG = re.compile(rf"[^A-Za-z0-9_{WHITESPACE}-]")
_BETWEEN_WORDS = re.compile(rf"[{WHITESPACE}_-]+")
_HOLE = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}")
_JOINT = re.compile(r"[-_]+([^\n\r\u2028\u2029]?)")
_CAPITAL = re.compile(r"[A-Z]")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _text(value: Any, helper: str) -> str:
    if not isinstance(value, str):
        raise MappingError(f"{helper}: {to_string(value)} is no text")
    return value


def full_name(first: Any = ABSENT, last: Any = ABSENT) -> str:
    """Return both names with a space between them, or the one that is there."""
    names = [to_string(name) for name in (first, last) if is_truthy(name)]
    return " ".join(names).strip(WHITESPACE)


def truncate(text: Any, most: Any) -> Any:
    """Return the text, cut at a space to at most `most` UTF-16 units, with `...` behind it. No character is halved.

    Raises:
        MappingError: it is no text.
    """
    limit = to_number(most)
    if isinstance(text, list) and len(text) <= limit:
        return text
    whole = _text(text, "truncate")
    units = whole.encode("utf-16-le", "surrogatepass")
    if len(units) // 2 <= limit:
        return whole
    kept = 0 if limit != limit else max(0, int(limit - 3))
    cut = units[: 2 * kept].decode("utf-16-le", "ignore")
    space = cut.rfind(" ")
    return (cut[:space] if space >= 0 else cut).rstrip(WHITESPACE) + "..."


def normalize_whitespace(text: Any) -> str:
    """Return the text with one space for each run of white space, and none around it."""
    return _SPACES.sub(" ", _text(text, "normalizeWhitespace")).strip(WHITESPACE)


def slugify(text: Any) -> str:
    """Return a name for addresses: lower case, hyphens between words, no letters but a to z."""
    plain = _NOT_OF_A_SLUG.sub("", _text(text, "slugify").lower().strip(WHITESPACE))
    return _BETWEEN_WORDS.sub("-", plain).strip("-")


def template(text: Any, values: Any) -> str:
    """Return the text with each `{{name}}` replaced by that field; empty where it is absent."""

    def filled(hole: re.Match[str]) -> str:
        if values is None or values is ABSENT:
            raise MappingError(f"template: there are no values for {hole[0]}")
        found = field_of(values, hole[1])
        return "" if found is ABSENT else to_string(found)

    return _HOLE.sub(filled, _text(text, "template"))


def to_camel_case(text: Any) -> str:
    """Return `fooBar` for `foo_bar` and `foo-bar`; spaces stay."""
    joined = _JOINT.sub(lambda match: match[1].upper(), _text(text, "toCamelCase"))
    return joined[:1].lower() + joined[1:]


def to_snake_case(text: Any) -> str:
    """Return `foo_bar` for `fooBar`, `_foo_bar` for `FooBar`."""
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", _text(text, "toSnakeCase"))


def hash_string(text: Any) -> str:
    """Return a short hash of a text. Texts collide (`Aa` and `BB`): it is no identity.

    Raises:
        MappingError: there is nothing, or a list.
    """
    number = 0
    if text is None or text is ABSENT or (isinstance(text, list) and text):
        raise MappingError(f"hashString: {to_string(text)} is no text")
    units = (text if isinstance(text, str) else "").encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        number = (31 * number + (high << 8 | low)) & 0xFFFF_FFFF
    number = abs(number - (1 << 32) if number >= 1 << 31 else number)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def uuid() -> str:
    """Return a random UUID of version 4."""
    return str(uuid4())
