"""The disk is full, fails or may only be read: nothing half-written counts, and the next run carries on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc_connect.errors import KVUnavailableError
from fc_connect.kv import open_kv
from fc_connect.sandbox import Sandbox
from fc_connect.state.batches import BatchRecord
from fc_connect.state.records import from_entry
from tests.servers import MissingServerError, find_program, missing
from tests.shop import Shop

pytestmark = [pytest.mark.crash]

ROWS = 400


@pytest.fixture
def shop(folder: Path, sandbox: Sandbox) -> Shop:
    shop = Shop(
        folder,
        sandbox,
        spool="spool",
        state="sqlite:///state/state.db",
        rejects={"max": "100%", "to": "rejects"},
        retry={"max_attempts": 20},
        after={"success": "done"},
    )
    rows: list[list[object]] = [[f"SKU{n:05d}", "W1", n, "ACTIVE"] for n in range(ROWS)]
    shop.put("a.csv", [*rows, ["BAD", "W1", "not a number", "ACTIVE"]])
    return shop


def free_the_locks(shop: Shop) -> None:
    """Do at once what time would do: a lock couldn't be released where nothing could be written."""
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        state = pipeline.open_state(kv)
        for lock in list(state.locks.list()):
            state.force_release(lock.name, reason="the run that held it has ended")


def carries_on(shop: Shop) -> None:
    """Run until all is done, as a schedule would, and judge what arrived."""
    free_the_locks(shop)
    for _ in range(3):
        result = shop.run()
    assert result.success, result.errors
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == ROWS
    assert [each.name for each in (shop.inbox / "done").glob("*.csv")] == ["a.csv"]
    assert [len(each.read_text().splitlines()) for each in (shop.folder / "rejects").glob("*.jsonl")] == [1]


def every_batch_has_its_entry(shop: Shop, sandbox: Sandbox) -> bool:
    with open_kv(f"sqlite:///{shop.folder}/state/state.db") as kv:
        entries = list(kv.list(("inventory", "batch")))
        known = {from_entry(entry, BatchRecord).sha256 for entry in entries}
    return {each.body_sha256 for each in sandbox.batches()} <= known


class Small:
    """A file system of its own for a folder, of a size that can change."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))

    def _mount(self, *arguments: str) -> None:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def remount(self, options: str) -> None:
        self._mount("-o", f"remount,{options}", str(self.folder))

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def small(shop: Shop, request: pytest.FixtureRequest) -> Iterator[Small]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    name, size = request.param
    mounted = Small(shop.folder / name, size)
    yield mounted
    mounted.unmount()


@pytest.mark.parametrize("small", [("spool", "16k"), ("rejects", "4k")], indirect=True)
def test_a_full_disk_under_the_spool_or_the_rejects_sends_nothing(
    shop: Shop, sandbox: Sandbox, small: Small
) -> None:
    if small.folder.name == "rejects":
        (small.folder / "ballast").write_bytes(bytes(4096))

    result = shop.run()

    assert not result.success
    assert "disk is full" in result.errors[0].lower()
    assert not sandbox.batches()
    small.remount("size=8M")
    carries_on(shop)


@pytest.mark.parametrize("small", [("state", "300k")], indirect=True)
def test_a_full_disk_under_the_state_sends_nothing_that_it_does_not_know(
    shop: Shop, sandbox: Sandbox, small: Small
) -> None:
    result = shop.run()

    assert not result.success
    assert "disk is full" in result.errors[0]
    assert len(sandbox.batches()) < ROWS // 10
    small.remount("size=8M")
    assert every_batch_has_its_entry(shop, sandbox)
    carries_on(shop)


@pytest.mark.parametrize("small", [("state", "8M"), ("spool", "8M"), ("rejects", "8M")], indirect=True)
def test_a_disk_that_may_only_be_read_is_told(shop: Shop, sandbox: Sandbox, small: Small) -> None:
    small.remount("ro")

    try:
        told = shop.run().errors[0]
    except KVUnavailableError as exc:  # the state can't be opened at all
        told = str(exc)

    assert str(small.folder) in told
    assert not sandbox.batches()
    small.remount("rw")
    carries_on(shop)


@pytest.fixture(scope="module")
def strace() -> str:
    try:
        program = find_program("strace", package="strace")
    except MissingServerError as exc:
        missing("strace", str(exc))
        raise AssertionError from exc
    done = subprocess.run([program, "-e", "trace=none", "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"processes can't be traced here: {done.stderr.strip()}")
    return program


EVERY = int(os.environ.get("FC_CONNECT_DISK_FAULTS", "0"))
"""Fault at each of the first so many calls; by default at a few that differ."""


@pytest.mark.parametrize(
    ("calls", "error", "place", "moments"),
    [
        ("fsync,fdatasync", "EIO", None, [2, 9]),
        ("pwrite64", "ENOSPC", "state/state.db-wal", [30]),
        ("pwrite64", "EIO", "state/state.db-wal", [60]),
        ("rename,renameat,renameat2", "EROFS", None, [1]),
    ],
)
def test_a_call_that_fails_is_never_taken_as_done(
    shop: Shop, sandbox: Sandbox, strace: str, calls: str, error: str, place: str | None, moments: list[int]
) -> None:
    for number, moment in enumerate(range(1, EVERY + 1) if EVERY else moments):
        shop.put(
            f"{number}.csv", [[f"SKU{n:05d}", f"W{number + 2}", n, "ACTIVE"] for n in range(50)], age=number
        )
        where = ["-P", str(shop.folder / place)] if place is not None else []
        inject = f"inject={calls}:error={error}:when={moment}"
        tracing = [strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
        process = subprocess.run(
            [*tracing, *where, sys.executable, "-m", "fc_connect", "run", str(shop.pipeline_file)],
            capture_output=True,
            text=True,
            timeout=110,
        )

        told = process.stdout + process.stderr
        assert process.returncode in {0, 1}, told
        assert "Traceback" not in told
        if process.returncode == 1:
            assert "error" in told

    for _ in range(3):
        result = shop.run()
    assert result.success, result.errors
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == ROWS + 50 * (number + 1)
