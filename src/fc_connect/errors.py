"""Every error that fc-connect raises on purpose, and what a caller may do about it.

FCConnectError                 .retryable
├─ ConfigurationError          lists every problem at once
│  └─ MissingExtraError        also an ImportError; names the extra to install
├─ KVError
│  ├─ KVUnavailableError       retryable; nothing was written
│  ├─ KVCommitUnknownError     may have been written: read again, then decide
│  ├─ KVValueError             the key or value breaks a limit
│  └─ KVCorruptError           what the store holds can't be read, or is of a newer version
├─ StateError
│  ├─ StateConflictError       retryable; a record changed since it was read
│  ├─ LockHeldError            says by whom and until when
│  ├─ LockLostError            nothing was written
│  └─ InDoubtError             a batch may have arrived; says what to do
├─ SourceError
│  ├─ SourceUnavailableError   retryable
│  └─ FileChangedError         the file is no longer the one that was listed
├─ ParseError                  .path .line .column
├─ FormatError
├─ MappingError                .problems of one record
├─ FluentAPIError              .status .code .request_id .body
│  ├─ AuthenticationError
│  ├─ GraphQLError             .errors .data
│  ├─ EventFailedError         .event_id: taken, and its workflow failed
│  ├─ FluentUnavailableError   retryable; refused, nothing happened
│  └─ FluentOutcomeUnknownError  a write timed out or broke off: it may have been done
├─ WebhookError                it isn't one that Fluent signed
└─ RunError                    a run can't go on: a full disk, a broken plan
   ├─ TooManyRejectsError      .rejected .records_read .rejects_file
   └─ StoppedError             it was told to stop; nothing is lost
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "EventFailedError",
    "FCConnectError",
    "FieldProblem",
    "FileChangedError",
    "FluentAPIError",
    "FluentOutcomeUnknownError",
    "FluentUnavailableError",
    "FormatError",
    "GraphQLError",
    "InDoubtError",
    "KVCommitUnknownError",
    "KVCorruptError",
    "KVError",
    "KVUnavailableError",
    "KVValueError",
    "LockHeldError",
    "LockLostError",
    "MappingError",
    "MissingExtraError",
    "ParseError",
    "RunError",
    "SourceError",
    "SourceUnavailableError",
    "StateConflictError",
    "StateError",
    "StoppedError",
    "TooManyRejectsError",
    "WebhookError",
    "listed",
]


_LISTED = 20
_NAME_CHARACTERS = 100


def listed(names: Sequence[str]) -> str:
    """Return names for a message: the first few, each cut. A file decides how many there are, and how long."""
    shown = ", ".join(
        each if len(each) <= _NAME_CHARACTERS else each[:_NAME_CHARACTERS] + "…" for each in names[:_LISTED]
    )
    return shown if len(names) <= _LISTED else f"{shown}, … ({len(names):,} in all)"


class FCConnectError(Exception):
    """Base of every error raised on purpose; anything else is a bug."""

    retryable: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process boundaries, and pickle would call __init__ without our keywords.
        return _rebuild, (type(self), self.args, vars(self))


def _rebuild(cls: type[FCConnectError], args: tuple[Any, ...], attributes: dict[str, Any]) -> FCConnectError:
    error = cls.__new__(cls, *args)
    vars(error).update(attributes)
    return error


class ConfigurationError(FCConnectError):
    """What a person wrote can't be used; `problems` lists every fault, one line each."""

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {p}" for p in problems)]))
        self.problems = tuple(problems)


class MissingExtraError(ConfigurationError, ImportError):
    """An optional driver isn't installed; the message names the extra."""


class KVError(FCConnectError):
    """The key-value store failed."""


class KVUnavailableError(KVError):
    """The store can't be reached or is busy. Nothing was written."""

    retryable = True


class KVCommitUnknownError(KVError):
    """The connection died during a write: it may have happened, or may happen yet. Read again before deciding."""


class KVValueError(KVError, ValueError):
    """A key or a value breaks a limit of the store; nothing was written."""


class KVCorruptError(KVError):
    """What the store holds can't be read, or was written by a newer version."""


class StateError(FCConnectError):
    """The state doesn't allow what was asked."""


class StateConflictError(StateError):
    """A record changed since it was read. Read it again and decide anew."""

    retryable = True


class LockHeldError(StateError):
    """Another worker holds the lock.

    `owner` says who, `expires_at` until when (it may be renewed).
    """

    def __init__(self, message: str, *, owner: str, expires_at: datetime) -> None:
        super().__init__(message)
        self.owner = owner
        self.expires_at = expires_at


class LockLostError(StateError):
    """The lock expired or was taken by another worker. Nothing was written."""


class InDoubtError(StateError):
    """A batch may or may not have arrived, and can't be sent again safely."""


class SourceError(FCConnectError):
    """A source can't do what was asked: missing bucket, folder or file, access denied."""


class SourceUnavailableError(SourceError):
    """A source can't be reached now; the same call may work later."""

    retryable = True


class FileChangedError(SourceError):
    """The file is no longer the version that was listed."""


class ParseError(FCConnectError):
    """A file isn't in its format; `path`, `line` (1-based) and `column` say where."""

    def __init__(
        self, message: str, *, path: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        where = path + (f":{line}" if line is not None else "") + (f":{column}" if column is not None else "")
        super().__init__(f"{where}: {message}" if where else message)
        self.path = path
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """Why one field of one record can't be mapped."""

    field: str
    """Target name, dotted: `attributes.colour`."""
    source: str | None
    """Source path in the record, if the field reads one."""
    value: Any
    """The value at hand."""
    reason: str
    """What was expected, as one sentence without a full stop."""


class FormatError(FCConnectError):
    """A format can't hold a value that was to be written; nothing of its record is in the file."""


class MappingError(FCConnectError):
    """A record can't be mapped; `problems` says why, field by field."""

    def __init__(self, message: str, *, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class FluentAPIError(FCConnectError):
    """Fluent refused a request, or answered something that can't be used.

    `status` is the HTTP status, None where there was no answer; `code` the error code from the body;
    `request_id` the id that Fluent's support asks for; `body` the start of the answer, secrets masked.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.body = body


class AuthenticationError(FluentAPIError):
    """The credentials were refused, or the token may not do this."""


class GraphQLError(FluentAPIError):
    """A GraphQL answer holds errors; `errors` are the ones that Fluent sent.

    `data` is what it holds besides, None where there is nothing: of several mutations in one request, those that
    were done. Sending them again would do them twice.
    """

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        data: dict[str, Any] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.errors = tuple(errors)
        self.data = data


class EventFailedError(FluentAPIError):
    """Fluent took a sync event, and its workflow failed; sending it again runs it again."""

    def __init__(self, message: str, *, event_id: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.event_id = event_id


class FluentUnavailableError(FluentAPIError):
    """Fluent refused for now (429) or can't be reached. Nothing happened; it may be sent again."""

    retryable = True


class FluentOutcomeUnknownError(FluentAPIError):
    """A write timed out, broke off or met a 5xx: it may have been done. Look before sending again."""


class WebhookError(FCConnectError):
    """A webhook isn't one that Fluent signed; nothing of it may be used."""


class RunError(FCConnectError):
    """A run or a file can't go on: a full disk, too many rejects, a broken plan."""


class StoppedError(RunError):
    """The run was told to stop. Nothing is lost: the next one carries on."""


class TooManyRejectsError(RunError):
    """More records were rejected than the pipeline allows."""

    def __init__(self, message: str, *, rejected: int, records_read: int, rejects_file: str | None) -> None:
        super().__init__(message)
        self.rejected = rejected
        self.records_read = records_read
        self.rejects_file = rejects_file
