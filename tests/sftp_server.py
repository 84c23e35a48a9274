"""An SFTP server with a password, for `tests.sshd.PasswordServer`: python -m tests.sftp_server FOLDER SETTINGS."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.sftp import SFTPServerHandler


class Account(asyncssh.SSHServer):
    """Knows one account, by password, or by the question that some servers ask instead."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder = folder
        self._settings = settings

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return bool(self._settings.get("method", "password") == "password")

    def validate_password(self, username: str, password: str) -> bool:
        with (self._folder / "told").open("a") as told:
            told.write(password + "\n")
        return [username, password] == [self._settings[name] for name in ("user", "password")]

    def kbdint_auth_supported(self) -> bool:
        return bool(self._settings.get("method") == "keyboard-interactive")

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return self.validate_password(username, responses[0])


async def serve(folder: Path, settings: dict[str, Any]) -> None:
    if settings.get("is_plain"):  # the protocol and nothing else
        SFTPServerHandler._extensions = []
    await asyncssh.listen(
        "127.0.0.1",
        settings["port"],
        server_host_keys=[str(folder / "host_key")],
        server_factory=lambda: Account(folder, settings),
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=bytes(folder / "data")),
        authorized_client_keys=None,
        **settings.get("options", {}),
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), json.loads(sys.argv[2])))
