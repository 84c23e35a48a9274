"""What a bucket's stream holds and answers: messages with their versions and expiry, and refusals."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from nats.aio.msg import Msg

from fc_connect.errors import KVCommitUnknownError, KVCorruptError, KVUnavailableError, KVValueError

__all__ = [
    "CONFLICT",
    "EXPECTED",
    "EXPECTED_OF",
    "EXPIRES_IN",
    "NO_STREAM",
    "BusyError",
    "Draft",
    "Message",
    "decoded",
    "message_of_answer",
    "message_of_api",
    "refusal_of",
]

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_OF = "Nats-Expected-Last-Subject-Sequence-Subject"
EXPIRES_IN = "Fc-Connect-Expires-In"  # milliseconds from the time at which the server stored the message

# Of the server; with each of these nothing was written.
NO_STREAM = 10059
CONFLICT = {10071, 10164}
_TOO_MANY_BATCHES = 10210
_NO_BATCHES = 10174
_TOO_LARGE = {10054, 10097}
_STORE_FAILED = 10077  # but with this one something may have been


class BusyError(KVUnavailableError):
    """The server has too many batches under way. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the stream holds of one subject."""

    sequence: int
    stored_at: datetime
    headers: Mapping[str, str]
    data: bytes
    is_live: bool = True

    @property
    def versionstamp(self) -> str:
        """The sequence of the first message of its commit, as text that sorts."""
        return f"{self.sequence - int(self.headers.get('Nats-Batch-Sequence', 1)) + 1:020d}"

    @property
    def is_marker(self) -> bool:
        """Whether it says that the key was deleted."""
        return "KV-Operation" in self.headers or "Nats-Marker-Reason" in self.headers

    @property
    def expires_at(self) -> datetime | None:
        """When it expires, by the server's clock."""
        if (milliseconds := self.headers.get(EXPIRES_IN)) is None:
            return None
        try:
            return self.stored_at + timedelta(milliseconds=int(milliseconds))
        except OverflowError:  # beyond the year 9999
            return None

    def judged_at(self, floor: datetime | None) -> Message:
        """Return it with the verdict whether it is live at a time; without one only where it doesn't expire."""
        end = self.expires_at
        return replace(self, is_live=not self.is_marker and (end is None or floor is None or floor < end))


@dataclass(slots=True, kw_only=True)
class Draft:
    """A message to be written."""

    subject: str
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def message_of_api(message: Mapping[str, Any]) -> Message:
    """Return what the leader told as JSON."""
    lines = base64.b64decode(message.get("hdrs", "")).decode().split("\r\n")[1:]
    return Message(
        sequence=message["seq"],
        stored_at=datetime.fromisoformat(message["time"]),
        headers={name: text for name, _, text in (line.partition(": ") for line in lines) if name},
        data=base64.b64decode(message.get("data", "")),
    )


def message_of_answer(told: Msg) -> Message:
    """Return what was told directly, as a message with headers."""
    headers = dict(told.headers or {})
    return Message(
        sequence=int(headers.get("Nats-Sequence", 0)),
        stored_at=datetime.fromisoformat(headers.get("Nats-Time-Stamp", "1970-01-01T00:00:00Z")),
        headers=headers,
        data=told.data,
    )


def decoded(content: bytes) -> dict[str, Any]:
    """Return an answer of JetStream's interface.

    Raises:
        KVCorruptError: it isn't JSON.
    """
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise KVCorruptError(f"NATS answered something that can't be read: {content[:200]!r}.") from exc


def refusal_of(error: Mapping[str, Any]) -> Exception:
    """Return the error of ours that an error of JetStream means."""
    code, description = error.get("err_code"), str(error.get("description", "")).rstrip(".")
    if code == _TOO_MANY_BATCHES:
        return BusyError(f"NATS refuses for now: {description}. Nothing was written.")
    if code == _NO_BATCHES:
        return KVValueError(
            "The NATS stream no longer takes atomic batches (`allow_atomic`). Nothing was written."
        )
    if code in _TOO_LARGE:
        return KVValueError(f"NATS: {description}. Nothing was written.")
    if code == _STORE_FAILED and "maximum" not in description:
        return KVCommitUnknownError(
            f"NATS failed to store a commit: {description}. It may have been made in part."
        )
    return KVUnavailableError(f"NATS refuses: {description}. Nothing was written.")
