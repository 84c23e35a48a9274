"""Logs of a program, as lines for people or JSON for machines. A library never calls this; a program does, once."""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import Any, TextIO

from fc_connect.errors import ConfigurationError
from fc_connect.observe.correlation import current_correlation_id

__all__ = ["CorrelationFilter", "configure_logging", "mask_secrets", "printable", "printable_json"]

_MASKED = "***"
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s+|%20|\+)[\w.~+/=-]{8,}")
_FIELD = re.compile(
    r"""(?ix)
    ( \b [\w-]* (?: client_?secret | password | passwd | access_?token | refresh_?token | id_?token | session_?token
                  | secret_?access_?key | secret_?key | api_?key ) ["'\\]* \s* [:=] \s* )
    (?: (\\*") (?: \\. | [^"\\] )* \2? | (\\*') (?: \\. | [^'\\] )* \3? | [^\s"'\\&,;<>}\])]+ )
    """
)
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@'\"]*):[^\s/@'\"]+@")
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "correlation_id"}
# Commands to a terminal, line ends but for the plain one, and marks that turn the order of letters round.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` with what a terminal would obey, or no stream could write, spelled out: `\\x1b`.

    Line ends and tabs stay.
    """
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def printable_json(text: str) -> str:
    """Do the same with JSON text, which stays the same JSON."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def mask_secrets(text: str) -> str:
    """Return `text` without what looks like a secret: a last resort, for nothing secret should be logged."""
    text = _SCHEME.sub(rf"\1\2{_MASKED}", text)
    text = _FIELD.sub(lambda m: f"{m[1]}{m[2] or m[3] or ''}{_MASKED}{m[2] or m[3] or ''}", text)
    return _USERINFO.sub(rf"\1:{_MASKED}@", text)


class CorrelationFilter(logging.Filter):
    """Puts the id of the run at hand on each record, as `correlation_id`; None outside of a run."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "correlation_id"):
            record.correlation_id = current_correlation_id()
        return True


def configure_logging(*, level: int | str, json: bool = False, stream: TextIO) -> None:
    """Log from `level` on to `stream`, in place of what was set up here before.

    Text: `12:01:03 INFO  [3f2a9c1e] message`, in UTC. JSON: one object a line, with ts, level, logger, message,
    correlation_id, whatever was passed as `extra`, and exception.

    Libraries that talk much are kept to warnings unless `level` is DEBUG; those that show headers, always.

    Raises:
        ConfigurationError: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if number is None:
        raise ConfigurationError(f"There is no log level {level!r}: write debug, info, warning or error.")
    handler = _Handler(stream)
    handler.addFilter(CorrelationFilter())
    handler.setFormatter(_JSONFormatter() if json else _TextFormatter())
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(number)
    quiet = max(number, logging.INFO if number <= logging.DEBUG else logging.WARNING)
    for name in ("httpx", "boto3", "s3transfer", "urllib3", "asyncio", "psycopg.pool"):
        logging.getLogger(name).setLevel(quiet)
    # Their debug lines hold signed headers and tokens.
    for name in ("httpcore", "botocore", "hpack"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _Handler(logging.StreamHandler[TextIO]):
    """Marks what was set up here."""


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        correlation_id = getattr(record, "correlation_id", None)
        run = f"[{correlation_id[:8]}] " if correlation_id else ""
        # A file name may hold line ends; it must not look like another entry.
        message = record.getMessage().replace("\n", "\n    ")
        line = f"{time:%H:%M:%S} {record.levelname:<5} {run}{message}"
        details = [self.formatException(record.exc_info)] if record.exc_info else []
        details += [self.formatStack(record.stack_info)] if record.stack_info else []
        return printable(mask_secrets("\n".join([line, *details])))


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        entry |= {
            "ts": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": getattr(record, "correlation_id", None),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        return printable_json(json.dumps(_masked(entry), ensure_ascii=False, default=_shown))


def _masked(value: Any) -> Any:
    """Mask values one by one: in finished JSON a mask could swallow what closes it."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, dict):
        return {str(name): _masked_field(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value


def _masked_field(name: str, value: Any) -> Any:
    return _MASKED if isinstance(value, str) and _FIELD.fullmatch(f"{name}=x") else _masked(value)


def _shown(value: Any) -> str:
    return mask_secrets(value.isoformat() if isinstance(value, datetime) else str(value))
