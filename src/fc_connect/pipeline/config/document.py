"""A file that a person wrote, as plain values with the line of each: YAML, JSON or TOML."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError

__all__ = ["Document", "Location", "SyntaxFault", "demand_shallow", "is_secret", "read_document"]

Location = tuple[str | int, ...]
"""Keys and list positions, from the outermost on."""

MAX_BYTES = 1024 * 1024
"""Of a file: what is larger wasn't written by hand."""


MAX_DEPTH = 100
"""Of what lies in what: deeper, and the steps that follow would run out of stack."""

_SECRET_NAME = re.compile(r"secret|passw|token|key|credential|^state$", re.IGNORECASE)


def is_secret(at: Location) -> bool:
    """Say whether what stands at `at`, or around it, may be a secret by its name, and so is never repeated."""
    return any(isinstance(part, str) and _SECRET_NAME.search(part) for part in at) and at[0] != "key"


class SyntaxFault(Exception):  # noqa: N818 (never leaves this package)
    """The text isn't in its format."""

    def __init__(self, reason: str, *, line: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(slots=True, kw_only=True)
class Document:
    """What a file holds."""

    value: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    """Line (1-based) of each key, and of each item of a list."""
    texts: dict[Location, str] = field(default_factory=dict)
    """How a scalar was written, where the format reads it as something else than text."""
    model: Any = None
    """The section that the whole file is, once that is known."""
    problems: list[tuple[Location, str]] = field(default_factory=list)
    """Faults in well-formed text, such as repeated keys."""

    def line_of(self, location: Location) -> int | None:
        """Return the line of what is at `location`, or of what is nearest around it."""
        while location:
            if location in self.lines:
                return self.lines[location]
            location = location[:-1]
        return self.lines.get((), None)


def demand_shallow(value: Any) -> None:
    """Raise SyntaxFault where dicts and lists lie in each other more than `MAX_DEPTH` deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise SyntaxFault(f"is nested more than {MAX_DEPTH} deep", line=None)


def read_document(path: Path) -> Document:
    """Read a file; its suffix says what it is.

    Raises:
        ConfigurationError: it isn't there, can't be read, or isn't in its format.
    """
    parse = _parser_of(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise ConfigurationError(f"There is no file {path}. Create one with: fc-connect init") from exc
    except IsADirectoryError as exc:
        raise ConfigurationError(f"{path} is a folder: name the pipeline file in it.") from exc
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be read: {exc.strerror}.") from exc
    except ValueError as exc:  # a NUL in the path, or half a surrogate pair
        raise ConfigurationError(f"{str(path)!r} can't be a path: {exc}.") from exc
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_BYTES >> 20} MiB: that is no pipeline file.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise ConfigurationError(f"{path}:{line}: isn't UTF-8 text: save it as UTF-8.") from exc
    try:
        document = parse(text)
    except SyntaxFault as exc:
        where = str(path) if exc.line is None else f"{path}:{exc.line}"
        # Without the cause: what a parser prints repeats the text, which may hold a secret.
        raise ConfigurationError(
            f"{path} isn't valid {_kind(path)}:", problems=[f"{where}: {exc.reason}"]
        ) from None
    except RecursionError as exc:
        raise ConfigurationError(f"{path} is nested too deeply.") from exc
    return document


def _kind(path: Path) -> str:
    return {".json": "JSON", ".toml": "TOML"}.get(path.suffix.lower(), "YAML")


def _parser_of(path: Path) -> Callable[[str], Document]:
    # Imported here: a JSON or TOML file needs no YAML parser.
    suffix = path.suffix.lower()
    if suffix in {".yaml", ".yml"}:
        from fc_connect.pipeline.config.yaml_document import parse_yaml

        return parse_yaml
    if suffix == ".json":
        from fc_connect.pipeline.config.json_document import parse_json

        return parse_json
    if suffix == ".toml":
        from fc_connect.pipeline.config.toml_document import parse_toml

        return parse_toml
    raise ConfigurationError(f"{path} must end in .yaml, .yml, .json or .toml: that says how it is written.")
