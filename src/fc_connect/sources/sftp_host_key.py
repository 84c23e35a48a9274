"""Decides whether a server is the one that was meant, before anything secret is sent to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncssh

from fc_connect.errors import ConfigurationError, SourceError

__all__ = ["KINDS", "HostKeys"]

KINDS: Final = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Of host keys: how their names begin, and how they are asked for. A server has one of each at most, and shows one."""

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class HostKeys:
    """The keys that a server may have: those of a known_hosts file, or those with a pinned fingerprint."""

    def __init__(self, *, known_hosts: Path, pinned: Sequence[str] = ()) -> None:
        self._known_hosts = known_hosts
        self.pinned = frozenset(_fingerprint(each) for each in pinned)

    def trusted(self) -> Any:
        """Return what the driver may trust by itself; read anew for each connection, so that a mended file counts.

        Raises:
            ConfigurationError: the file can't be read.
        """
        if self.pinned:
            return ((), (), ())
        try:
            return asyncssh.read_known_hosts(str(self._known_hosts))
        except FileNotFoundError:
            return asyncssh.import_known_hosts("")
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"known_hosts {str(self._known_hosts)!r} can't be read: {exc}") from exc

    def refusal(
        self, where: str, host: str, port: int, shown: Sequence[asyncssh.SSHKey], why: str
    ) -> SourceError:
        """Return the error for a server whose keys aren't trusted: what it showed, and what to do."""
        told = _described(shown) or "none that this machine can check"
        if "revoked" in why:
            return SourceError(
                f"Can't connect to {where}: its host key is revoked in {self._known_hosts}. It showed {told}. "
                "Ask whoever runs the server for its new key."
            )
        expected = ", ".join(sorted(self.pinned)) if self.pinned else _described(self._known(host, port))
        place = "host_key" if self.pinned else str(self._known_hosts)
        if expected:
            return SourceError(
                f"Can't connect to {where}: its host key isn't the one that is expected. It showed {told}; {place} "
                f"has {expected}. Someone may stand in between: ask whoever runs the server whether its key was "
                f"changed, and only then change {place}. No password was sent."
            )
        return SourceError(
            f"Can't connect to {where}: its host key isn't known. It showed {told}. Ask whoever runs the server "
            f"whether that is its key; then set host_key to the fingerprint, or add the key to {place}. "
            "No password was sent."
        )

    def is_known(self, host: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Say whether a key is among those that are trusted."""
        if self.pinned:
            return key.get_fingerprint() in self.pinned
        return key in self._known(host, port)

    def _known(self, host: str, port: int) -> Sequence[asyncssh.SSHKey]:
        keys: Sequence[asyncssh.SSHKey] = self.trusted().match(host, "", port if port != 22 else None)[0]
        return keys


def _described(keys: Sequence[asyncssh.SSHKey]) -> str:
    told = {f"{key.get_fingerprint()} ({key.get_algorithm()})": None for key in keys}
    return ", ".join(told)


def _fingerprint(text: str) -> str:
    given = text.strip().rstrip("=")
    if _FINGERPRINT.fullmatch(given) is None:
        raise ConfigurationError(
            f"host_key {text!r} isn't a fingerprint: write it as `ssh-keygen -lf` shows it, SHA256: and 43 characters."
        )
    return given
