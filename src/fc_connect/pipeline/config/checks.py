"""Checks of single values of a pipeline file; a ValueError says what was expected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import ValidationInfo

from fc_connect.pipeline.config.values import base_dir_of, read_secret

__all__ = [
    "PLACEHOLDERS",
    "absolute_store",
    "column_delimiter",
    "folder_below",
    "mapping_or_path",
    "marker_name",
    "namespace_rule",
    "one_character",
    "resolvers_place",
    "revealed_state",
    "store_address",
    "text_encoding",
    "web_address",
    "without_password",
]


PLACEHOLDERS = {"{yyyy}": "%Y", "{mm}": "%m", "{dd}": "%d", "{hh}": "%H"}
"""What a folder for finished files may hold, as `strftime` knows it."""


def one_character(value: str) -> str:
    """Refuse what isn't one character."""
    if len(value) != 1 or value in "\r\n\0":
        raise ValueError('expected one character, such as ",", ";" or "\\t"')
    return value


def column_delimiter(value: str) -> str:
    """Refuse what can't be between two values; a backslash and a `t`, as some write a tab, are one."""
    value = "\t" if value == "\\t" else value
    if not value or any(each in "\r\n\0" for each in value):
        raise ValueError('expected one character or a few, such as ",", ";", "\\t" or "||"')
    return value


def text_encoding(value: str) -> str:
    """Refuse what isn't an encoding of text."""
    try:
        "".encode(value)
    except (LookupError, ValueError):
        raise ValueError("expected an encoding that Python knows, such as utf-8, cp1252 or utf-16") from None
    return value


def without_password(value: str) -> str:
    """Refuse a URL with a password in it: URLs are shown and stored."""
    try:
        has_password = urlsplit(value).password is not None
    except ValueError as exc:
        raise ValueError(f"isn't a URL: {exc}") from exc
    # A key of AWS may hold a slash; then what lies before it looks like a bucket with a colon.
    bucket = value[5:].partition("/")[0] if value.lower().startswith("s3://") else ""
    if has_password or "@" in bucket or (":" in bucket and not bucket.startswith("arn:")):
        raise ValueError("holds a password: give credentials by their own keys")
    return value


def web_address(value: str) -> str:
    """Refuse what isn't an HTTP address without credentials."""
    without_password(value)
    parts = urlsplit(value)
    try:
        _ = parts.port
    except ValueError as exc:
        raise ValueError("names a port that isn't one") from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address that begins with https://")
    return value


def folder_below(value: str) -> str:
    """Refuse what could leave the source's root."""
    parts = value.strip("/").split("/")
    if "://" in value or value.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("expected a folder below the source's root, such as archive/")
    unknown = [each for each in re.findall(r"\{[^}]*\}?|\}", value) if each not in PLACEHOLDERS]
    if unknown:
        raise ValueError(f"{unknown[0]} stands for nothing: expected {', '.join(PLACEHOLDERS)}")
    return value


def marker_name(value: str) -> str:
    """Refuse what can't be the name of a marker file."""
    template = value if "{" in value else "{name}" + value
    plain = template.replace("{name}", "").replace("{stem}", "")
    if "/" in plain or "{" in plain or "}" in plain or plain in {"", template}:
        raise ValueError("expected an ending such as .done, or a name such as {stem}.done")
    return template


def namespace_rule(value: Any) -> Any:
    """Refuse what isn't a rule for namespaces, or prefixes with the namespaces that they stand for."""
    is_named = isinstance(value, dict) and all(
        isinstance(each, str) for pair in value.items() for each in pair
    )
    if not is_named and value not in ("keep", "strip"):
        raise ValueError("expected keep, strip, or prefixes with the namespaces that they stand for")
    return value


def mapping_or_path(value: Any, info: ValidationInfo) -> Any:
    """Return an inline mapping as it is, or the path of a mapping file that is there."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("expected text as keys")
        return value
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("expected the path of a mapping file, or the mapping itself")
    try:
        path = base_dir_of(info) / Path(value).expanduser()
        is_there = path.is_file()
    except (RuntimeError, ValueError, OSError) as exc:
        raise ValueError(f"expected the path of a mapping file: {exc}") from exc
    if not is_there:
        raise ValueError(f"there is no file {path}")
    return path


def resolvers_place(value: str, info: ValidationInfo) -> str:
    """Refuse what can't be a module or a Python file that is there."""
    place = value.partition(":")[0]
    if place.endswith(".py"):
        try:
            is_there = (base_dir_of(info) / place).is_file()
        except OSError as exc:  # such as a name that is too long
            raise ValueError(f"expected the path of a Python file: {exc.strerror}") from exc
        if not is_there:
            raise ValueError(f"there is no file {base_dir_of(info) / place}")
    elif not all(part.isidentifier() for part in place.split(".")):
        raise ValueError('expected "module:attribute" or the path of a Python file')
    return value


def revealed_state(value: Any, info: ValidationInfo) -> Any:
    """Return the address of the state, from a mounted file if it names one."""
    # Redis and PostgreSQL URLs hold a password, so this too may come from a mounted file.
    return read_secret(value, base=base_dir_of(info)) if isinstance(value, str) else value


def store_address(value: str) -> str:
    """Refuse what isn't the address of a store."""
    if not re.match(r"[a-z][a-z0-9+.-]*:", value, re.IGNORECASE):
        raise ValueError("expected sqlite:///path, redis://…, postgresql://… or memory:")
    try:
        urlsplit(value)
    except ValueError:
        raise ValueError("isn't a URL: its host can't be read") from None
    if value.lower().startswith("sqlite:") and not value[7:].startswith("///"):
        raise ValueError("names no file: write sqlite:///relative/path or sqlite:////absolute/path")
    return value


def absolute_store(url: str, *, base: Path) -> str:
    """Return the URL of a store with an absolute path, where it has one that starts from `base`."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme.lower() != "sqlite" or path.startswith("//"):
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"sqlite:///{quote((base / path.lstrip('/')).as_posix())}{query}"
