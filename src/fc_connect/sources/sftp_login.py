"""Connects to one SSH server as one account: the host's key first, then ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncssh

from fc_connect.errors import ConfigurationError, SourceError
from fc_connect.sources.sftp_host_key import KINDS, HostKeys

__all__ = ["Login"]

_MISSED_KEEPALIVES: Final = 3
"""So many without an answer, and the connection is given up."""

_BROKEN_OFF: Final = (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost, ConnectionResetError)
"""How it looks when both have no algorithm in common: the server may close before it is understood."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where to, as whom, and how both sides prove who they are."""

    host: str
    port: int
    username: str
    host_keys: HostKeys
    password: str | None = field(default=None, repr=False)
    private_key: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    agent: bool = False
    connect_timeout: timedelta
    keepalive: timedelta

    @property
    def where(self) -> str:
        """Say it for people and logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{self.username}@{host}" + (f":{self.port}" if self.port != 22 else "")

    async def connect(self) -> asyncssh.SSHClientConnection:
        """Connect and log in.

        Raises:
            SourceError: the host's key isn't trusted, the account was refused, or no common algorithm.
            ConfigurationError: the private key or the known_hosts file can't be used.
            asyncssh.Error, OSError: the server can't be reached, or not now.
        """
        async with self._private_keys() as keys:
            return await self._connected_with(keys)

    async def _connected_with(self, keys: Sequence[Any]) -> asyncssh.SSHClientConnection:
        shown: list[asyncssh.SSHKey] = []
        try:
            return await self._attempt(keys, shown)
        except asyncssh.HostKeyNotVerifiable as exc:
            why = exc.reason
        # A pin doesn't say of which kind its key is, and of several keys the server has shown only one.
        for name, kind in KINDS.items() if self.host_keys.pinned else ():
            if not any(key.get_algorithm().startswith(name) for key in shown):
                with suppress(asyncssh.HostKeyNotVerifiable, *_BROKEN_OFF):
                    return await self._attempt(keys, shown, kind)
        raise self.host_keys.refusal(self.where, self.host, self.port, shown, why)

    async def _attempt(
        self, keys: Sequence[Any], shown: list[asyncssh.SSHKey], kind: Sequence[str] = ()
    ) -> asyncssh.SSHClientConnection:
        client = _Client(self, keys, shown)
        try:
            return await self._connected(client, kind)
        except asyncssh.PermissionDenied as exc:
            raise client.refusal() from exc
        except _BROKEN_OFF as exc:
            if kind:
                raise
            # The driver asks for keys of the kinds that known_hosts has; a server without them breaks off.
            key = await self._key_of_server()
            if key is not None and not self.host_keys.is_known(self.host, self.port, key):
                shown.append(key)
                raise asyncssh.HostKeyNotVerifiable("Host key is not trusted") from exc
            if not isinstance(exc, asyncssh.KeyExchangeFailed):
                raise
            raise SourceError(
                f"Can't connect to {self.where}: there is no algorithm that both hold safe ({exc.reason[:600]}). "
                "Have the server brought up to date."
            ) from exc

    async def _connected(self, client: _Client, kind: Sequence[str]) -> asyncssh.SSHClientConnection:
        seconds = self.connect_timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await asyncssh.connect(
                    self.host,
                    self.port,
                    username=self.username,
                    client_factory=lambda: client,
                    known_hosts=self.host_keys.trusted(),
                    server_host_key_algs=kind,
                    # Nothing from this machine's own settings: only what the source was told.
                    config=None,
                    client_keys=None,
                    agent_path=None,
                    gss_host=None,
                    x509_trusted_certs=None,
                    preferred_auth=("publickey", "keyboard-interactive", "password"),
                    login_timeout=seconds,
                    keepalive_interval=self.keepalive.total_seconds(),
                    keepalive_count_max=_MISSED_KEEPALIVES,
                )
        except TimeoutError as exc:
            raise TimeoutError(f"no connection within {seconds:g} s (connect_timeout)") from exc

    async def _key_of_server(self) -> asyncssh.SSHKey | None:
        """Ask for whatever key the server has, to tell of it; it is trusted with nothing."""
        try:
            async with asyncio.timeout(self.connect_timeout.total_seconds()):
                return await asyncssh.get_server_host_key(self.host, self.port, config=None)
        except (OSError, asyncssh.Error):
            return None

    @asynccontextmanager
    async def _private_keys(self) -> AsyncIterator[Sequence[Any]]:
        keys: list[Any] = []
        if self.private_key is not None:
            try:
                keys.append(asyncssh.read_private_key(self.private_key, self.passphrase))
            except (OSError, ValueError) as exc:
                raise ConfigurationError(
                    f"private_key {str(self.private_key)!r} can't be used: {exc}"
                ) from exc
        if not self.agent:
            yield keys
            return
        try:
            agent = await asyncssh.connect_agent()
            keys += await agent.get_keys()
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"The SSH agent can't be used ({exc}): start one, and see that SSH_AUTH_SOCK names its socket."
            ) from exc
        try:
            yield keys
        finally:
            agent.close()
            await agent.wait_closed()


class _Client(asyncssh.SSHClient):
    """Answers for one attempt, and notes what was shown, asked for and tried."""

    def __init__(self, login: Login, keys: Sequence[Any], shown: list[asyncssh.SSHKey]) -> None:
        self._shown = shown
        self._login = login
        self._keys = list(keys)
        self._passwords = {"password": login.password, "keyboard-interactive": login.password}
        self._offered: list[str] = []
        self._tried: list[str] = []

    def refusal(self) -> SourceError:
        """Return the error for an account that was refused: what was tried, and what there is besides."""
        offered = ", ".join(dict.fromkeys(self._offered)) or "no method that is supported"
        tried = ", ".join(dict.fromkeys(self._tried)) or "nothing"
        return SourceError(
            f"Can't log in to {self._login.where}: the server offers {offered}; tried was {tried}, and refused. "
            "Check the username, password, private_key and agent."
        )

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self._shown.append(key)
        return key.get_fingerprint() in self._login.host_keys.pinned

    def public_key_auth_requested(self) -> Any:
        self._offered.append("publickey")
        if not self._keys:
            return None
        key = self._keys.pop(0)
        self._tried.append(
            f"publickey ({key.get_fingerprint()})" if isinstance(key, asyncssh.SSHKey) else "agent"
        )
        return [key]

    def password_auth_requested(self) -> str | None:
        return self._password("password")

    def kbdint_auth_requested(self) -> str | None:
        self._offered.append("keyboard-interactive")
        return "" if self._login.password is not None else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        if not prompts:
            return []  # only words
        hidden = len(prompts) == 1 and not prompts[0][1]
        password = self._password("keyboard-interactive") if hidden else None
        return None if password is None else [password]

    def _password(self, method: str) -> str | None:
        """Give the password once: asked again, it was wrong, and an account may lock itself after a few."""
        self._offered.append(method)
        password, self._passwords[method] = self._passwords[method], None
        if password is not None:
            self._tried.append(method)
        return password
