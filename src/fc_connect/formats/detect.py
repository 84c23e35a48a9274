"""What a file looks like, by its first bytes: for a person who sets up a pipeline, never for a run."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

from fc_connect.formats.compressed import packing_of
from fc_connect.formats.text import MARKS, text_encoding

__all__ = ["HEAD_BYTES", "Guess", "detect", "hints"]

HEAD_BYTES: Final = 1 << 16
"""Enough of a file to guess by."""

_LINES = 100
_DELIMITERS = ",;\t|"
_KINDS = {"jsonl": "ndjson"}
_KANA = re.compile("[\u3040-\u30ff\uff66-\uff9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a file looks like; None: that can't be told."""

    packing: str | None = None
    """`gzip`, `zstd` or `zip`: then nothing else is told."""
    kind: Literal["csv", "json", "ndjson", "xml", "parquet", "excel"] | None = None
    encoding: str | None = None
    why: str = ""
    """What tells the encoding."""
    is_certain: bool = False
    """Whether hardly any file of another encoding has it."""
    delimiter: str | None = None
    """Of CSV, where there are several columns."""
    quotechar: str | None = None
    escapechar: str | None = None
    comment: str | None = None
    skip_rows: int = 0


def detect(head: bytes) -> Guess:
    """Say what a file looks like that begins with `head`, which is all of it where it is less than `HEAD_BYTES`."""
    if head.startswith(b"PAR1"):
        return Guess(kind="parquet")
    if head.startswith(b"\xd0\xcf\x11\xe0") or (
        head.startswith(b"PK\3\4") and b"[Content_Types].xml" in head
    ):
        return Guess(kind="excel")
    if packing := packing_of(head):
        return Guess(packing=packing)
    encoding, why, is_certain = _encoding_of(head)
    if encoding is None:
        return Guess()
    lines = _lines_of(head, encoding)
    kind = _kind_of(lines)
    found = Guess(kind=kind, encoding=encoding, why=why, is_certain=is_certain)
    return _csv_of(lines, found) if kind == "csv" else found


def hints(
    head: bytes,
    *,
    type: str = "csv",  # noqa: A002 - the key's name in a pipeline file
    encoding: str = "utf-8",
    delimiter: str = ",",
    quotechar: str | None = '"',
    escapechar: str | None = None,
    comment: str | None = None,
    skip_rows: int = 0,
) -> list[str]:
    """Say where a file that begins with `head` looks other than it is configured to be read, a sentence each."""
    guess = detect(head)
    kind = _KINDS.get(type, type)
    if guess.packing is not None:
        return [f"It is packed: set `format.compression: {guess.packing}`, or name the files so."]
    if guess.kind == "excel":
        return ["It is an Excel workbook: have it exported as CSV (UTF-8)."]
    found: list[str] = []
    if kind in {"csv", "json", "ndjson"} and guess.encoding is not None:
        found += _encoding_hints(head, guess, text_encoding(encoding))
    if guess.kind is not None and guess.kind != kind:
        return [*found, f"It looks like {guess.kind}, not {kind}: set `format.type: {guess.kind}`."]
    if kind != "csv" or guess.kind != "csv":
        return found
    if guess.skip_rows and not skip_rows:
        found.append("Its first line tells the delimiter and is no header: set `format.skip_rows: 1`.")
    if guess.comment is not None and comment is None and not skip_rows:
        found.append('It begins with comments: set `format.comment: "#"`.')
    if guess.delimiter not in {None, delimiter} and guess.encoding is not None:
        lines = [
            line
            for line in _lines_of(head, guess.encoding)[guess.skip_rows :]
            if guess.comment is None or not line.startswith(guess.comment)
        ]
        if _agreement(lines, delimiter)[0] < _agreement(lines, str(guess.delimiter))[0]:
            found.append(
                f"It looks delimited by {guess.delimiter!r}, not {delimiter!r}: set "
                f"`format.delimiter: {json.dumps(guess.delimiter)}`."
            )
    if guess.quotechar not in {None, quotechar} and quotechar is not None:
        found.append(
            f"Its values look quoted by {guess.quotechar}: set `format.quotechar: {json.dumps(guess.quotechar)}`."
        )
    if guess.escapechar is not None and escapechar is None and quotechar is not None:
        found.append('Quotes inside its values look escaped by \\: set `format.escapechar: "\\\\"`.')
    return found


def _encoding_hints(head: bytes, guess: Guess, configured: str) -> Iterator[str]:
    marked = {name + order for mark, name, order in MARKS if head.startswith(mark)}
    if configured in {guess.encoding, *marked}:
        return
    if _decoded(head, configured) is None or guess.is_certain:
        is_it = "it is" if guess.is_certain else "it may be"
        yield (
            f"It isn't {configured}; {is_it} {guess.encoding} ({guess.why}): "
            f"set `format.encoding: {guess.encoding}`."
        )


def _encoding_of(head: bytes) -> tuple[str | None, str, bool]:
    for mark, name, _ in MARKS:
        if head.startswith(mark):
            return name, "its byte order mark", True
    if 0 in head:
        # Delimiters, digits and line ends have a byte of zeros each there, always on the same side.
        zeros = [head[place::4].count(0) / max(1, len(head[place::4])) for place in range(4)]
        for name, is_like in (
            ("utf-32-le", min(zeros[1:]) > 0.3 and not zeros[0]),
            ("utf-32-be", min(zeros[:3]) > 0.3 and not zeros[3]),
            ("utf-16-le", zeros[1] + zeros[3] > 0.1 and not zeros[0] + zeros[2]),
            ("utf-16-be", zeros[0] + zeros[2] > 0.1 and not zeros[1] + zeros[3]),
        ):
            if is_like and _decoded(head, name) is not None:
                return name, "zeros on one side of each character", True
        return None, "", False
    if head.isascii():
        return "utf-8", "plain ASCII", False
    if _decoded(head, "utf-8") is not None:
        return "utf-8", "its bytes fit together so", True
    # In Western text a letter with an accent stands alone among plain ones; in Japanese they come in pairs.
    in_runs = sum(map(len, re.findall(rb"[\x80-\xff]{2,}", head))) / len(re.findall(rb"[\x80-\xff]", head))
    if in_runs > 0.5:
        text = _decoded(head, "shift_jis")
        if text is not None and len(_KANA.findall(text)) * 5 > len(re.findall("[^\\0-\x7f]", text)):
            return "shift_jis", "Japanese syllables", False
        return None, "", False
    if _decoded(head, "cp1252") is None:
        return None, "", False
    return "cp1252", "Western letters with accents, as Windows writes them", False


def _decoded(head: bytes, encoding: str) -> str | None:
    """Return the text; None: it isn't in that encoding. The last character may be cut."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(head, len(head) < HEAD_BYTES)
    except UnicodeError:
        return None


def _lines_of(head: bytes, encoding: str) -> list[str]:
    """Return the lines, without the last where it is cut."""
    text = _decoded(head, encoding) or ""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()
    return lines if len(head) < HEAD_BYTES else lines[:-1] or lines


def _kind_of(lines: list[str]) -> Literal["csv", "json", "ndjson", "xml"] | None:
    full = [line.strip() for line in lines if line.strip()]
    if not full:
        return None
    first = full[0]
    if re.match(r"<[?!a-zA-Z_]", first):
        return "xml"
    if not re.match(r'\{\s*("|\}|$)|\[\s*(["{\[\]0-9-]|true|false|null|$)', first):
        return "csv"
    if not _is_json(first):
        return "json"
    if len(full) == 1:
        return "json" if first.startswith("[") else None  # one record, in either
    return "ndjson" if first.startswith("{") and _is_json(full[1]) else "json"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _csv_of(lines: list[str], found: Guess) -> Guess:
    told = re.fullmatch(r'"?sep=(.)"?\s*', lines[0])
    if told:
        lines = lines[1:]
    plain = [line for line in lines if not line.startswith("#")]
    best = max(_DELIMITERS, key=lambda each: _agreement(plain, each))
    has_comments = lines[:1] != plain[:1] and _agreement(plain, best) > _agreement(lines, best)
    lines = plain if has_comments else lines
    delimiter = told[1] if told else best if _agreement(lines, best) > (0, 0) else None
    text = "".join(lines)
    between = re.escape(delimiter) if delimiter else "\n"
    quoted = {
        quote: len(
            re.findall(f"(?:^|{between}){quote}[^{quote}\n]*{quote}(?={between}|\r?$)", text, re.MULTILINE)
        )
        for quote in "\"'"
    }
    quotechar = max(quoted, key=lambda each: quoted[each]) if any(quoted.values()) else None
    escaped = re.search(rf'(?:^|{between})"[^"\n]*\\"(?!{between}|\r?$|")', text, re.MULTILINE)
    return replace(
        found,
        delimiter=delimiter,
        quotechar=quotechar,
        escapechar="\\" if escaped else None,
        comment="#" if has_comments else None,
        skip_rows=1 if told else 0,
    )


def _agreement(lines: list[str], delimiter: str) -> tuple[float, int]:
    """Return which part of the first records have as many values as the first, and how many; (0, 0): one."""
    if len(delimiter) > 1:
        widths = [line.count(delimiter) + 1 for line in lines[:_LINES]]
    else:
        try:
            widths = [len(row) for row in islice(csv.reader(lines, delimiter=delimiter), _LINES) if row]
        except csv.Error:
            return 0, 0
    if not widths or widths[0] == 1:
        return 0, 0
    return widths.count(widths[0]) / len(widths), widths[0]
