"""What an SFTP server and its driver raise, as errors of ours that say what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncssh

from fc_connect.errors import SourceError, SourceUnavailableError

__all__ = ["ABSENT", "BROKEN", "DENIED", "mapped_errors"]

ABSENT: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
"""No such file. Of a path that leads through a file, servers say the same in different words."""

_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
DENIED: Final = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete)
"""The account may not."""

_SESSION = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage)

BROKEN: Final = (*_SESSION, asyncssh.DisconnectError, asyncssh.ChannelOpenError, OSError, EOFError)
"""After these a session is of no more use (TimeoutError is an OSError)."""

_LONGEST_REASON = 300


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `doing` begins the message: "Can't list sftp://…"."""
    try:
        yield
    except ABSENT as exc:
        raise SourceError(f"Can't {doing}: it isn't there.") from exc
    except DENIED as exc:
        raise SourceError(
            f"Can't {doing}: the server denies access. Give the account the right to it."
        ) from exc
    except _FULL as exc:
        raise SourceError(f"Can't {doing}: the server's disk is full. Make room, then run again.") from exc
    except asyncssh.SFTPOpUnsupported as exc:
        raise SourceError(f"Can't {doing}: the server doesn't offer that ({_told(exc)}).") from exc
    except _SESSION as exc:
        raise SourceUnavailableError(f"Can't {doing}: the connection broke ({_told(exc)}).") from exc
    except asyncssh.SFTPError as exc:
        raise SourceError(f"Can't {doing}: the server refused ({_told(exc)}).") from exc
    except asyncssh.ChannelOpenError as exc:
        raise SourceUnavailableError(
            f"Can't {doing}: the server opened no SFTP session ({_told(exc)}). It may have too many open, "
            "or not offer SFTP to this account."
        ) from exc
    except asyncssh.Error as exc:
        raise SourceUnavailableError(f"Can't {doing}: the connection broke ({_told(exc)}).") from exc
    except socket.gaierror as exc:
        raise SourceUnavailableError(
            f"Can't {doing}: the server's name isn't known ({exc.strerror}). Check the url and the network."
        ) from exc
    except TimeoutError as exc:
        raise SourceUnavailableError(f"Can't {doing}: {_told(exc) or 'no answer in time'}.") from exc
    except (OSError, EOFError) as exc:
        raise SourceUnavailableError(
            f"Can't {doing}: the server can't be reached ({_told(exc)}). Check the url and the network."
        ) from exc


def _told(exc: BaseException) -> str:
    """Return what was said, in one short line: a server may say anything."""
    text = exc.reason if isinstance(exc, asyncssh.Error) else str(exc)
    return " ".join(text.split())[:_LONGEST_REASON].rstrip(".")
