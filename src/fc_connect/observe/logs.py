"""Log lines for a program's own output: text for people, JSON for machines. A library never calls this."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import IO, Any

from fc_connect.observe.correlation import current_correlation_id

__all__ = ["configure_logging"]

_SECRET = re.compile(
    r"(?i)(bearer\s+|(?:client_secret|password|access_token|refresh_token|secret_access_key)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"
)


def configure_logging(*, level: str, json_lines: bool, stream: IO[str]) -> None:
    """Send the root logger's lines to `stream`, each with the correlation id of its run."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(_correlated)
    handler.setFormatter(_JSONFormatter() if json_lines else _TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _correlated(record: logging.LogRecord) -> bool:
    record.correlation_id = current_correlation_id()
    return True


def _masked(text: str) -> str:
    # A last resort: nothing of ours logs a secret, but a library's message might.
    return _SECRET.sub(r"\1***", text)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        run = (getattr(record, "correlation_id", None) or "-")[:8]
        line = f"{at} {record.levelname:<7} {run} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return _masked(line)


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _masked(record.getMessage()),
            "correlation_id": getattr(record, "correlation_id", None),
        }
        if record.exc_info:
            entry["exception"] = _masked(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)
