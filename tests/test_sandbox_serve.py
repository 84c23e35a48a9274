"""The sandbox started and stopped: in this process, and as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.errors import ConfigurationError, StateError
from fc_connect.sandbox import Sandbox, SandboxLog
from tests.sandbox_caller import JOBS, Caller, record

SERVE = "import sys; from fc_connect.sandbox import serve; serve(port=0, database=sys.argv[1])"


def started(database: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a sandbox as a process of its own; return it and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("Sandbox of the Fluent API: "), first
    return process, first.split()[-1]


def finished(process: subprocess.Popen[str]) -> str:
    """Return the rest of what a process writes until it ends."""
    # Not `communicate`: it would miss what `readline` has read ahead.
    with process:
        assert process.stdout is not None
        return process.stdout.read()


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_in_the_middle_of_a_connection(
    tmp_path: Path, asked: signal.Signals
) -> None:
    process, url = started(tmp_path / "sandbox.db")
    with Caller(url) as caller:
        caller.send(caller.new_job(), record())

        process.send_signal(asked)
        rest = finished(process)

    assert process.returncode == 0
    assert [line.split(":")[0] for line in rest.splitlines()] == [
        "Database",
        "Log in",
        "What it received",
        "Stop",
        "Stopped.",
    ]
    assert SandboxLog(tmp_path / "sandbox.db").deliveries().total() == 1


def test_a_sandbox_killed_after_its_answer_has_lost_nothing(tmp_path: Path) -> None:
    process, url = started(tmp_path / "sandbox.db")
    with Caller(url) as caller:
        job = caller.new_job()
        accepted = [caller.send(job, record(f"S{i}")).status for i in range(50)]
        process.kill()
        finished(process)

    again, url = started(tmp_path / "sandbox.db")
    with Caller(url) as caller:
        listed = caller.call("GET", f"{JOBS}/{job}").json()["total"]
    again.terminate()
    finished(again)

    assert accepted == [200] * 50
    assert listed == 50
    assert SandboxLog(tmp_path / "sandbox.db").summary().distinct == 50


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with Sandbox() as first:
        port = int(first.url.rpartition(":")[2])

        with pytest.raises(ConfigurationError, match=f"{port}.*Choose another port"):
            Sandbox(port=port).start()


def test_it_can_be_stopped_twice_and_started_again(tmp_path: Path) -> None:
    sandbox = Sandbox(database=tmp_path / "sandbox.db")
    for _ in range(2):
        with sandbox, Caller(sandbox.url) as caller:
            caller.new_job()
        sandbox.stop()

    assert len(sandbox.jobs()) == 2
    with pytest.raises(StateError, match="isn't running"):
        _ = sandbox.url


def test_it_refuses_a_second_start() -> None:
    with Sandbox() as sandbox, pytest.raises(StateError, match="running already"):
        sandbox.start()


def test_stopping_ends_every_thread_and_connection() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    host, port = sandbox.url.removeprefix("http://").split(":")

    with (
        closing(socket.create_connection((host, int(port)), timeout=10)) as idle,
        Caller(sandbox.url) as caller,
    ):
        caller.new_job()
        sandbox.stop()
        rest = idle.recv(1)

    assert rest == b""
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    "options",
    [
        {"processing_time": timedelta(seconds=-1)},
        {"token_lifetime": timedelta(0)},
        {"page_size": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, timedelta]) -> None:
    with pytest.raises(ConfigurationError):
        Sandbox(**options)  # type: ignore[arg-type]
