"""Paths below a source's root: which may be used, which match a pattern, how a taken one is numbered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from fc_connect.errors import ConfigurationError, SourceError

__all__ = ["PARTIAL_MARK", "PathPattern", "checked_path", "numbered", "tidied"]

PARTIAL_MARK: Final = ".fc-partial"
"""End of the names of files that are being written; never listed, whatever the pattern."""

_MAGIC = re.compile(r"[*?\[{]")
_HIDDEN = (".", "[.]")
_MAX_ALTERNATIVES = 1000


def checked_path(path: str) -> str:
    """Return `path` if it stays below the root whatever the source makes of it.

    Raises:
        SourceError: it is empty or absolute, has `.`, `..` or an empty part, a NUL, or isn't Unicode text.
    """
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in path:
        raise SourceError(
            f"{path!r} isn't a path below the source: it may not be absolute, nor have `.`, `..` or `//`."
        )
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise SourceError(f"The file name {path!r} isn't UTF-8: rename the file.") from exc
    return path


def tidied(path: str) -> str:
    """Return `path` without its empty, `.` and `..` parts: what it was probably meant to be."""
    return "/".join(part for part in path.split("/") if part not in {"", ".", ".."})


def numbered(path: str) -> Iterator[str]:
    """Yield `path`, then `path` with 1, 2, … before its suffixes: `a/x.csv.gz`, `a/x-1.csv.gz`, …"""
    yield path
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name[1:].partition(".")  # a leading dot begins no suffix
    stem = name[:1] + stem
    for number in count(1):
        yield f"{folder}{slash}{stem}-{number}{dot}{suffix}"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A compiled pattern: `*` and `?` stay within a folder, `**/` spans folders, `[abc]`, `{a,b}`.

    A part of a path that begins with a dot is matched only by a part of the pattern that does too, as in a
    shell: hidden files and those that others are still writing (`.x.csv.part`) are left alone.
    """

    text: str
    regex: re.Pattern[str]
    prefix: str
    """What every matching path begins with; a listing may begin there."""
    max_depth: int | None
    """Folders above a matching file at most; None where `**` spans any number."""
    names_hidden: bool
    """Whether some part of it begins with a dot."""

    @classmethod
    def compiled(cls, pattern: str) -> PathPattern:
        """Compile `pattern`.

        Raises:
            ConfigurationError: it is empty or absolute, or a bracket isn't closed.
        """
        if not pattern or pattern.startswith("/") or pattern.endswith("/"):
            raise ConfigurationError(
                f"The pattern {pattern!r} can't match a file: write it relative to the source, as `**/*.csv`."
            )
        alternatives = list(_expanded(pattern))
        prefixes = [_MAGIC.split(each, maxsplit=1)[0] for each in alternatives]
        spans = any("**" in each.split("/") for each in alternatives)
        return cls(
            text=pattern,
            regex=re.compile("|".join(_regex(each, pattern) for each in alternatives), re.DOTALL),
            prefix=_common_prefix(prefixes),
            names_hidden=any(part.startswith(_HIDDEN) for each in alternatives for part in each.split("/")),
            max_depth=None if spans else max(each.count("/") for each in alternatives),
        )

    def matches(self, path: str) -> bool:
        """Say whether the whole relative path matches. Case counts."""
        return self.regex.fullmatch(path) is not None and not path.endswith(PARTIAL_MARK)

    def may_match_below(self, folder: str) -> bool:
        """Say whether a file below `folder` could match, so that a listing may leave the rest unread."""
        start = folder + "/"
        if not self.names_hidden and folder.rpartition("/")[2].startswith("."):
            return False
        if self.max_depth is not None and start.count("/") > self.max_depth:
            return False
        return start.startswith(self.prefix) or self.prefix.startswith(start)


def _expanded(pattern: str) -> Iterator[str]:
    """Yield the alternatives of `{a,b}`, nested ones too, as patterns without braces."""
    pending = [pattern]
    made = 0
    while pending:
        each = pending.pop()
        opened = _opening_brace(each, pattern)
        if opened is None:
            made += 1
            if made > _MAX_ALTERNATIVES:
                raise ConfigurationError(
                    f"The pattern {pattern!r} has more than {_MAX_ALTERNATIVES} alternatives."
                )
            yield each
            continue
        depth, start, choices = 0, opened + 1, []
        for place in range(opened, len(each)):
            if each[place] == "{":
                depth += 1
            elif each[place] == "}":
                depth -= 1
                if depth == 0:
                    choices.append(each[start:place])
                    pending += [each[:opened] + choice + each[place + 1 :] for choice in reversed(choices)]
                    break
            elif each[place] == "," and depth == 1:
                choices.append(each[start:place])
                start = place + 1
        else:
            raise ConfigurationError(f"The pattern {pattern!r} has a brace that isn't closed.")


def _opening_brace(text: str, pattern: str) -> int | None:
    """Find the first brace outside `[…]`, so that `[{]` still stands for the character itself."""
    place = 0
    while place < len(text):
        if text[place] == "[":
            place = _set_end(text, place, pattern)
        elif text[place] == "{":
            return place
        place += 1
    return None


def _set_end(text: str, start: int, pattern: str) -> int:
    first = start + 2 if text[start + 1 : start + 2] in {"!", "^"} else start + 1
    end = text.find("]", first + 1)  # a bracket that comes first is a member
    if end < 0:
        raise ConfigurationError(
            f"The pattern {pattern!r} has a `[` that isn't closed; for the character write `[[]`."
        )
    return end


def _regex(alternative: str, pattern: str) -> str:
    parts = alternative.split("/")
    # `**/**/` spans what `**/` does, and each repetition would multiply the ways to try.
    parts = [
        part for place, part in enumerate(parts) if part != "**" or parts[place + 1 : place + 2] != ["**"]
    ]
    made = []
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        if part == "**" and not is_last:
            made.append(r"(?:(?!\.)[^/]+/)*")
        elif part == "**":
            made.append(r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+")
        else:
            hidden = "" if part.startswith(_HIDDEN) else r"(?!\.)"
            made.append(hidden + _part_regex(part, pattern) + ("" if is_last else "/"))
    return "".join(made)


def _part_regex(part: str, pattern: str) -> str:
    """Translate a part. What follows a `*` is taken where it first fits, and never elsewhere.

    That finds every match, for the next `*` takes up the rest; and it is what makes the name of a hostile file cost no
    more than its length, however many stars there are.
    """
    pieces, place = [""], 0  # between the stars
    while place < len(part):
        char = part[place]
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[":
            end = _set_end(part, place, pattern)
            members = part[place + 1 : end]
            negated = members[0] in "!^"
            inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", members[1:] if negated else members)
            pieces[-1] += f"(?!/)[{'^' if negated else ''}{inner}]"
            place = end
        else:
            pieces[-1] += re.escape(char)
        place += 1
    first, *others = pieces
    made = first
    if others:
        *middle, last = others
        made += "".join(f"(?>[^/]*?{piece})" for piece in middle if piece) + "[^/]*" + last
    try:
        re.compile(made)
    except re.error as exc:
        raise ConfigurationError(f"The pattern {pattern!r} can't be read: {exc}.") from exc
    return made


def _common_prefix(prefixes: list[str]) -> str:
    low, high = min(prefixes), max(prefixes)
    for place, char in enumerate(low):
        if char != high[place : place + 1]:
            return low[:place]
    return low
