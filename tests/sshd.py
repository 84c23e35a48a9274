"""Two real SSH servers: OpenSSH's sshd with keys, and asyncssh's in a process of its own where a password is needed.

An sshd that isn't root's can't check a password, so what passwords need is asked of the other one; it also leaves
OpenSSH's extensions out on demand, as other servers do.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from tests.servers import (
    VERSIONS,
    MissingServerError,
    answers,
    find_program,
    missing,
    spare_port,
    wait_until,
)


class OpenSSHServer:
    """An sshd with a folder to serve; it can be stopped and started again.

    Accounts log in as whoever runs the tests, or as nobody where that is root: to root nothing is denied.
    """

    def __init__(self, *, settings: Sequence[str] = ()) -> None:
        self._program = find_program("sshd", package="openssh-server", folders=("/usr/sbin/sshd",))
        self.port = spare_port()
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.username = self._user.pw_name
        # Not in pytest's own folder, which is closed to other users; in memory, where that can be.
        self.folder = Path(tempfile.mkdtemp(prefix="fc-connect-sshd-", dir=_memory()))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.data.mkdir()
        self.own(self.data)
        self.log = self.folder / "sshd.log"
        self.key = self.folder / "id"
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.key)
        self.key.chmod(0o600)
        key.write_public_key(self.folder / "authorized_keys")
        self.known_hosts = self.folder / "known_hosts"
        self.trust(self.host_key)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    def url(self, folder: Path | None = None) -> str:
        return f"sftp://{self.username}@127.0.0.1:{self.port}{folder or self.data}/"

    def trust(self, *keys: Any) -> None:
        lines = [f"[127.0.0.1]:{self.port} {key.export_public_key().decode()}" for key in keys]
        self.known_hosts.write_text("".join(lines))

    def own(self, path: Path) -> None:
        """Give a file to the account that logs in."""
        if os.geteuid() == 0:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def start(self, *host_keys: Any) -> None:
        files = []
        for number, key in enumerate(host_keys or [self.host_key]):
            file = self.folder / f"host_key_{number}"
            key.write_private_key(file)
            file.chmod(0o600)
            files.append(f"HostKey {file}")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd asks for it where it is root's
        configuration = self.folder / "sshd_config"
        configuration.write_text(
            "\n".join(
                [
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    *files,
                    f"AuthorizedKeysFile {self.folder}/authorized_keys",
                    "PidFile none",
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "Subsystem sftp internal-sftp",
                    "ForceCommand internal-sftp",
                    "MaxStartups 100",
                    *self._settings,
                    "",
                ]
            )
        )
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-D", "-e", "-f", str(configuration)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(lambda: answers(self.port), self._process, self.log)
        done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True)
        VERSIONS["OpenSSH"] = done.stderr.split(",")[0].strip()

    def stop(self) -> None:
        """End the server, and every connection that it serves."""
        if self._process is not None:
            self.cut_sessions()
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def cut_sessions(self) -> None:
        """Kill what serves the connections; the server goes on listening."""
        assert self._process is not None
        for each in _descendants(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def running() -> Iterator[OpenSSHServer]:
    """Yield an sshd of one's own, for a fixture."""
    try:
        server = OpenSSHServer()
        server.start()
    except MissingServerError as exc:
        missing("OpenSSH", str(exc))
        raise
    yield server
    server.remove()


class PasswordServer:
    """asyncssh's server, which takes a password, and notes each one that it was told."""

    username = "shop"
    password = "correct horse"

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.port = spare_port()
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.told = folder / "told"
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key.write_private_key(folder / "host_key")
        self._settings = {"user": self.username, "password": self.password, "port": self.port, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"sftp://{self.username}@127.0.0.1:{self.port}/"

    @property
    def passwords_told(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    def start(self) -> None:
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.sftp_server", str(self.folder), json.dumps(self._settings)],
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[1],
            )
        wait_until(lambda: answers(self.port), self._process, log)
        VERSIONS["SFTP server (asyncssh)"] = asyncssh.__version__

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


def _descendants(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [each for child in map(int, text.split()) for each in (child, *_descendants(child))]


def _memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else None
