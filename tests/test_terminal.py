"""What others wrote (file names, values, answers) reaches a person's terminal as text, never as commands to it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from fc_connect.observe import configure_logging, printable
from fc_connect.sandbox import Sandbox
from tests.shop import Shop

TITLE = "\x1b]0;owned\x07"
HOSTILE = [
    f"title{TITLE}.csv",
    "c1\x9b31m.csv",
    "line\nDone: 5 files processed.csv",
    "right\u202evsc.csv",
    "[bold red]markup.csv",
    "[link=x]linked.csv",
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


def on_a_terminal(*arguments: str | bytes) -> tuple[int, str]:
    """Run the command line on a terminal of its own, and return its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fc_connect", *arguments], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = bytearray()
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 65536):
            written += data
    os.close(ours)
    return process.wait(60), written.decode(errors="replace").replace("\r\n", "\n")


def test_names_of_files_command_no_terminal(tmp_path: Path, sandbox: Sandbox) -> None:
    shop = Shop(tmp_path / "shop", sandbox)
    for number, name in enumerate(HOSTILE):
        shop.stock(name, warehouse=f"W{number}", rows=2, age=number)
    shop.put(f"bad{TITLE}.csv", "no such column\n1\n", age=9)
    file = str(shop.pipeline_file)

    code, ran = on_a_terminal("--log-level", "info", "run", file)
    _, listed = on_a_terminal("state", "files", "-p", file)
    _, debugged = on_a_terminal("--debug", "preview", file, "--file", f"bad{TITLE}.csv")

    assert code == 1  # the bad one
    assert "6 files processed" in ran or "7 files processed" in ran
    assert "owned" in ran
    assert "owned" in listed
    for told in (ran, listed, debugged):
        assert TITLE not in told
        assert "\x1b]" not in told
        assert "\x9b" not in told
        assert "\u202e" not in told
        assert "\nDone: 5 files" not in told
    assert "[bold red]markup.csv" in ran


@pytest.mark.parametrize("command", ["run", "check", "preview"])
def test_an_argument_that_is_no_text_is_an_error_in_words(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fc_connect", command, b"\xff.yaml"],
        capture_output=True,
        text=True,
        errors="replace",
    )

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_logs_hold_no_controls(as_json: bool) -> None:
    stream = StringIO()
    configure_logging(level="info", json=as_json, stream=stream)
    try:
        try:
            raise ValueError(f"{TITLE} \x9b31m \u202e \ud800")
        except ValueError:
            logging.getLogger("fc_connect.x").exception("%s", f"{TITLE}\nsecond\x9b", extra={"more": TITLE})
    finally:
        logging.getLogger().handlers = [
            each for each in logging.getLogger().handlers if getattr(each, "stream", None) is not stream
        ]

    written = stream.getvalue()
    assert not set(written) & {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"}
    if as_json:
        assert json.loads(written)["more"] == TITLE


def test_what_can_be_printed_stays_as_it_is() -> None:
    text = "Größe 5\tмагазин 店舗 ✓ – “x”\nsecond"

    assert printable(text) == text
