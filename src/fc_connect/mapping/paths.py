"""Paths into a record: one dialect, which reads both older ones, and JSONPath behind a dollar sign.

`order.items[0].sku`, `Order.Items.Item[@type='gift']`, `$.items[?@.qty > 1].sku`; docs/paths.md has the grammar. A path
reads keys of mappings and items of lists, and nothing else: there is no way from a path to an attribute of a Python
object. It is parsed once, holds no state, and may be shared and pickled.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.values import ABSENT

__all__ = ["MAX_CHARACTERS", "MAX_STEPS", "ORIGINS", "Path", "parse_path"]

MAX_CHARACTERS: Final = 4096
"""Of a path; what is longer wasn't written by hand."""
MAX_STEPS: Final = 64
"""In a path."""
ORIGINS: Final = ("context", "root")
"""What a path may start from besides the record: `$context.…` and `$root.…`."""

_NAME = re.compile(r"[^.\[\]@]+")
_ORIGIN = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_INDEX = re.compile(r"-?[0-9]+(?=\])")
_FILTER = re.compile(r"(@?)([^\[\]=@'\"]+)=")
_BARE = re.compile(r"[^\]'\"]*")
_SHOWN = 80


class _Step(Protocol):
    def __call__(self, value: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    text: str
    """As it was written."""
    origin: str = field(default="record", compare=False)
    """What to hand to `read`: `record`, `context`, `root`, or another name that `parse_path` was told of."""
    steps: tuple[str | int, ...] | None = field(default=None, compare=False)
    """Where the path is a plain chain: keys (text) and positions in lists (numbers); None for any other path.

    Inlining them is safe while the values are dicts and lists: a key of digits is a position where it meets a list,
    and a position that meets no list is what `read` knows of.
    """
    is_plural: bool = field(default=False, compare=False)
    """Whether it gives a list of what it finds, rather than one value."""
    parts: tuple[_Step, ...] = field(default=(), compare=False, repr=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, one of which it begins with; none where it may begin with any."""
        first = self.steps[0] if self.steps else self.parts[0] if self.parts else None
        if isinstance(first, _Attribute):
            return (f"{first.name}@{first.attribute}", first.name)
        if isinstance(first, _Key):
            return (first.name,)
        return (first,) if isinstance(first, str) else ()

    def read(self, record: Any) -> Any:
        """Return what lies at the path, or `ABSENT`; null is a value.

        Raises:
            MappingError: a JSONPath query finds too much, or the record is nested too deeply for it.
        """
        value = record
        for part in self.parts:
            value = part(value)
            if value is ABSENT:
                return ABSENT
        return value

    def __str__(self) -> str:
        return self.text


def parse_path(text: str, *, origins: Collection[str] = ORIGINS) -> Path:
    """Parse a path; `origins` are the names that it may start from with a dollar sign.

    Raises:
        ConfigurationError: it isn't a path; names the column, and what is allowed there.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"A path is text, not {type(text).__name__}: write it in quotes.")
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(
            f"The path {text[:_SHOWN]!r}… has {len(text):,} characters; {MAX_CHARACTERS:,} are allowed."
        )
    if re.match(r"\$(?:[.\[\s]|$)", text):
        return _query(text)
    return _Parser(text, origins).path()


def _query(text: str) -> Path:
    from fc_connect.mapping.jsonpath import is_singular, singular_steps

    steps = singular_steps(text)
    return Path(text, steps=steps, is_plural=not is_singular(text), parts=(_Query(text),))


class _Parser:
    """Reads one path from left to right."""

    def __init__(self, text: str, origins: Collection[str]) -> None:
        self._text = text
        self._at = 0
        self._origins = origins
        self._parts: list[_Step] = []

    def path(self) -> Path:
        origin = self._origin()
        if origin == "record" or self._take("."):
            self._segment()
        while self._at < len(self._text):
            if len(self._parts) > MAX_STEPS:
                self._fail(f"a path has at most {MAX_STEPS} steps")
            if self._take("."):
                self._segment()
            elif self._peek("["):
                self._bracket()
            elif self._take("@"):
                self._parts.append(_Key("@" + self._name("the name of an attribute")))
            else:
                self._fail("expected a dot, a bracket, or @ and the name of an attribute")
        plain = [_plain(part) for part in self._parts]
        return Path(
            self._text,
            origin=origin,
            steps=None if any(step is None for step in plain) else tuple(s for s in plain if s is not None),
            is_plural=any(isinstance(part, _Every) for part in self._parts),
            parts=_nested(self._parts),
        )

    def _origin(self) -> str:
        if not self._peek("$"):
            return "record"
        match = _ORIGIN.match(self._text)
        if match is None or match[1] not in self._origins:
            known = " and ".join(f"${name}" for name in self._origins)
            self._fail(
                f"a dollar sign begins a JSONPath query ($. or $[){f', {known}' if known else ''}; "
                "a key that begins with one is written ['$…']"
            )
        self._at = match.end()
        if self._at < len(self._text) and self._text[self._at] not in ".[":
            self._fail("expected a dot or a bracket")
        return match[1]

    def _segment(self) -> None:
        if self._peek("["):
            if self._at > 0:
                self._fail("expected a name; a bracket needs no dot before it")
            return
        if self._take("@"):
            self._parts.append(_Key("@" + self._name("the name of an attribute")))
            return
        start = self._at
        name = self._name("a name, an index in brackets, or a key in brackets and quotes such as ['a.b']")
        if start == 0 and name[0] == "/":
            self._at = 0
            self._fail("names are joined by dots, not slashes: Order.Items.Item")
        if name[0] in "'\"":
            self._at = start
            self._fail("a key in quotes stands in brackets: ['a.b']")
        if name == "*":
            self._parts.append(_Every())
        elif name == "#text":
            self._parts.append(_Text())
        elif self._take("@"):
            self._parts.append(_Attribute(name, self._name("the name of an attribute")))
        else:
            self._parts.append(_Key(name))

    def _bracket(self) -> None:
        self._at += 1
        rest = self._text
        if match := _INDEX.match(rest, self._at):
            if len(match[0]) > 10:
                self._fail("an index has at most nine digits")
            self._at = match.end()
            self._parts.append(_Index(int(match[0])))
        elif rest.startswith("*]", self._at):
            self._at += 1
            self._parts.append(_Every())
        elif self._at < len(rest) and rest[self._at] in "'\"":
            self._parts.append(_Key(self._quoted()))
        elif match := _FILTER.match(rest, self._at):
            if match[2].strip()[-1:] in {"!", "<", ">", "~", ""}:
                self._fail("only = is known here; a JSONPath filter knows more: $.items[?@.qty > 1]")
            self._at = match.end()
            while self._take(" "):
                pass
            if self._at < len(rest) and rest[self._at] in "'\"":
                wanted = self._quoted()
                while self._take(" "):
                    pass
            else:
                bare = _BARE.match(rest, self._at)
                wanted = bare[0].strip() if bare else ""
                if not wanted or wanted[0] == "=":
                    self._fail("expected a value behind one =")
                self._at += len(bare[0]) if bare else 0
            self._parts.append(_First(match[2].strip(), wanted, bool(match[1])))
        else:
            self._fail("expected an index, *, a key in quotes, or a filter such as sku='A'")
        if not self._take("]"):
            self._fail("expected ] here")

    def _name(self, expected: str) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            self._fail(f"expected {expected}")
        self._at = match.end()
        return match[0]

    def _quoted(self) -> str:
        quote, start = self._text[self._at], self._at
        self._at += 1
        found: list[str] = []
        while (character := self._text[self._at : self._at + 1]) != quote:
            self._at += 1
            if character == "\\":
                character = self._text[self._at : self._at + 1]
                if character not in {"\\", "'", '"'}:
                    self._fail("behind a backslash stands a quote or another backslash")
                self._at += 1
            if not character:
                self._at = start
                self._fail(f"this quote isn't closed by another {quote}")
            found.append(character)
        self._at += 1
        return "".join(found)

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._at += len(text)
        return True

    def _fail(self, what: str) -> NoReturn:
        shown = repr(self._text) if len(self._text) <= _SHOWN else repr(self._text[:_SHOWN]) + "…"
        raise ConfigurationError(f"The path {shown} can't be used: column {self._at + 1}: {what}.")


def _plain(part: _Step) -> str | int | None:
    if isinstance(part, _Key):
        return part.name
    return part.position if isinstance(part, _Index) else None


def _nested(parts: list[_Step]) -> tuple[_Step, ...]:
    """Give what stands behind a wildcard to it: that is read of each item."""
    for position, part in enumerate(parts):
        if isinstance(part, _Every):
            return (*parts[:position], _Every(_nested(parts[position + 1 :])))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of a mapping; digits are also a position in a list."""

    name: str

    def __call__(self, value: Any, /) -> Any:
        if type(value) is dict or isinstance(value, Mapping):
            return value.get(self.name, ABSENT)
        if (
            isinstance(value, list | tuple)
            and self.name.isascii()
            and self.name.isdecimal()
            and len(self.name) < 10
        ):
            position = int(self.name)
            return value[position] if position < len(value) else ABSENT
        return ABSENT


@dataclass(frozen=True, slots=True)
class _Index:
    """A position in a list, from its end if negative. What is no list counts as a list of one.

    In XML an element that is there once is no list, and nobody wants the path to depend on that.
    """

    position: int

    def __call__(self, value: Any, /) -> Any:
        if isinstance(value, list | tuple):
            return value[self.position] if -len(value) <= self.position < len(value) else ABSENT
        if isinstance(value, Mapping) and (key := str(self.position)) in value:
            return value[key]
        return value if self.position in {0, -1} and value is not None else ABSENT


@dataclass(frozen=True, slots=True)
class _Attribute:
    """`Element@name`; a key that is spelled like that wins, for records that aren't XML."""

    name: str
    attribute: str

    def __call__(self, value: Any, /) -> Any:
        if not isinstance(value, Mapping):
            return ABSENT
        if (literal := f"{self.name}@{self.attribute}") in value:
            return value[literal]
        element = value.get(self.name)
        return element.get(f"@{self.attribute}", ABSENT) if isinstance(element, Mapping) else ABSENT


@dataclass(frozen=True, slots=True)
class _Text:
    """The text of an XML element, whether or not it has attributes."""

    def __call__(self, value: Any, /) -> Any:
        if isinstance(value, Mapping):
            return value.get("#text", ABSENT)
        return ABSENT if value is None or isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class _Every:
    """Every item of a list, and what `parts` read of each; null where an item has nothing there.

    So the list is as long as the one it was read from, and two of them can be laid side by side.
    """

    parts: tuple[_Step, ...] = ()

    def __call__(self, value: Any, /) -> Any:
        if value is None:
            return ABSENT
        return [self._of(item) for item in (value if isinstance(value, list | tuple) else [value])]

    def _of(self, item: Any) -> Any:
        for part in self.parts:
            item = part(item)
            if item is ABSENT:
                return None
        return item


@dataclass(frozen=True, slots=True)
class _First:
    """The first item whose attribute or field has this text."""

    name: str
    wanted: str
    is_attribute: bool

    def __call__(self, value: Any, /) -> Any:
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Mapping) and (
                _has_text(item.get(f"@{self.name}"), self.wanted)
                or (not self.is_attribute and _has_text(item.get(self.name), self.wanted))
            ):
                return item
        return ABSENT


@dataclass(frozen=True, slots=True)
class _Query:
    """A query of RFC 9535."""

    text: str

    def __call__(self, value: Any, /) -> Any:
        from fc_connect.mapping.jsonpath import find, is_singular

        found = find(self.text, value)
        if is_singular(self.text):
            return found[0] if found else ABSENT
        return found


def _has_text(value: Any, wanted: str) -> bool:
    if isinstance(value, Mapping):
        value = value.get("#text")
    if isinstance(value, bool):
        return wanted == ("true" if value else "false")
    if isinstance(value, float) and value.is_integer():
        return wanted in {repr(value), str(int(value))}
    return value is not None and not isinstance(value, list | tuple | Mapping) and str(value) == wanted
