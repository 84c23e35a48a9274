"""The fixture that users of pytest get: run as they run it, in a process and a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENDS_WELL = """
from datetime import timedelta
import urllib.request
import pytest

pytestmark = pytest.mark.fluent_sandbox(page_size=7, list_batches=False)

def answered(url):
    with urllib.request.urlopen(url + "/_sandbox", timeout=10) as reply:
        return reply.status

def test_it_runs(fluent_sandbox):
    assert answered(fluent_sandbox.url) == 200
    assert fluent_sandbox.jobs() == []

@pytest.mark.fluent_sandbox(processing_time=timedelta(seconds=5), page_size=3)
def test_options_nearer_to_the_test_win(fluent_sandbox):
    assert fluent_sandbox._processing_time == timedelta(seconds=5)
    assert fluent_sandbox._page_size == 3
    assert fluent_sandbox._list_batches is False

@pytest.mark.fluent_sandbox(page_sise=3)
def test_an_option_it_has_not(fluent_sandbox):
    raise AssertionError("not reached")
"""


def test_the_plugin_is_there_without_being_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(ENDS_WELL)

    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--strict-markers",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "2 passed, 1 error" in ran.stdout, ran.stdout + ran.stderr
    assert "page_sise" in ran.stdout


def test_loading_the_plugin_loads_no_sandbox() -> None:
    code = """import sys, fc_connect.testing.plugin
print([name for name in sys.modules if name.startswith("fc_connect.sandbox")])"""

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.strip() == "[]"
