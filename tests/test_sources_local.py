"""Local folders: the suite of all sources, and what only a file system can do wrong."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from fc_connect.errors import FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources import Source, SourceFile
from fc_connect.sources.local import LocalSource
from fc_connect.testing.source import SourceConformance, content_of


class TestLocalSource(SourceConformance):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        with LocalSource(tmp_path) as source:
            yield source


class TestLocalSourceWithoutHardLinks(SourceConformance):
    """As on FAT, or between two file systems: every name is given by copying."""

    @pytest.fixture
    def source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
        monkeypatch.setattr(os, "link", failing(errno.ENOTSUP))
        with LocalSource(tmp_path) as source:
            yield source


def failing(number: int) -> Callable[..., None]:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def source(tmp_path: Path) -> LocalSource:
    return LocalSource(tmp_path / "inbox")


def test_a_missing_folder_is_named(source: LocalSource, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"The folder {tmp_path}/inbox isn't there"):
        list(source.list())


def test_a_file_in_place_of_the_folder_is_named(source: LocalSource, tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("x")

    with pytest.raises(SourceError, match="is no folder"):
        list(source.list())


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (errno.EACCES, SourceError, "access to .* is denied"),
        (errno.ESTALE, SourceUnavailableError, "Stale"),
        (errno.EIO, SourceUnavailableError, "Input/output"),
        (errno.EINVAL, SourceError, "Invalid argument"),
    ],
)
def test_faults_of_a_folder_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[SourceError], words: str
) -> None:
    monkeypatch.setattr(os, "scandir", failing(number))

    with pytest.raises(error, match=words) as caught:
        list(LocalSource(tmp_path).list())

    assert caught.type is error


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that any user may go through; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a while, if root: root may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_without_the_right_to_read_is_refused_and_told(public: Path) -> None:
    (public / "inbox").mkdir(mode=0)
    source = LocalSource(public / "inbox")

    with without_privileges():
        with pytest.raises(SourceError, match=r"inbox is denied\. Give this user the right"):
            list(source.list())
        with pytest.raises(SourceError, match="is denied"):
            source.exists("a.csv")
        lacking = [each for each in source.check() if not each.is_given]

    assert [each.name for each in lacking] == ["readable"]
    assert "is denied" in lacking[0].detail


def test_a_folder_below_without_the_right_to_read_is_refused_where_it_counts(public: Path) -> None:
    source = LocalSource(public)
    source.write("a.csv", b"1")
    (public / "closed").mkdir(mode=0)

    with without_privileges():
        assert [file.path for file in source.list("*.csv")] == ["a.csv"]
        with pytest.raises(SourceError, match="closed is denied"):
            list(source.list("**/*.csv"))


def test_a_file_without_the_right_to_read_is_listed_and_refused_alone(public: Path) -> None:
    source = LocalSource(public)
    for name in ("a.csv", "b.csv"):
        source.write(name, b"1")
        (public / name).chmod(0o644)
    (public / "a.csv").chmod(0)

    with without_privileges():
        closed, readable = source.list()
        with pytest.raises(SourceError, match=r"open 'a\.csv': access to .*a\.csv is denied"):
            source.open(closed)
        with source.open(readable) as stream:
            assert stream.read() == b"1"
        access = {each.name: each for each in source.check(writes=False)}

    assert not access["readable"].is_given
    assert "a.csv is denied" in access["readable"].detail


def test_a_folder_without_the_right_to_write_keeps_its_files_where_they_are(public: Path) -> None:
    (public / "inbox").mkdir()
    (public / "inbox/a.csv").write_text("1")
    (public / "inbox/a.csv").chmod(0o644)
    (public / "inbox").chmod(0o555)
    source = LocalSource(public / "inbox")

    with without_privileges():
        (file,) = source.list()
        for bring in (source.move, source.copy):
            with pytest.raises(SourceError, match="is denied"):
                bring(file, "done/a.csv")
        given = {each.name: each.is_given for each in source.check()}

    assert given == {"reachable": True, "readable": True, "writable": False}
    assert [each.name for each in public.rglob("*")] == ["inbox", "a.csv"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_disk_that_is_really_full_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        source = LocalSource(small)
        file = source.write("a.csv", b"x" * 40_000)
        for attempt in (
            lambda: source.write("b.csv", b"x" * 40_000),
            lambda: source.write("a.csv", b"y" * 40_000, overwrite=True),
            lambda: source.copy(file, "kept/a.csv"),
        ):
            with pytest.raises(SourceError, match=r"disk is full\. Make room"):
                attempt()
        assert [each.name for each in small.rglob("*") if each.is_file()] == ["a.csv"]
        assert content_of(source, file) == b"x" * 40_000
        assert source.move(file, "done/a.csv") == "done/a.csv"
        (small / "ballast").write_bytes(b"x" * 24_576)
        (full,) = (each for each in source.check() if not each.is_given)
        assert (full.name, "disk is full" in full.detail) == ("writable", True)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


# Long listings


def test_a_long_listing_comes_in_order_and_holds_names_alone(tmp_path: Path) -> None:
    for number in range(5_000):
        (tmp_path / f"{(number * 7_919) % 5_000:05}.csv").touch()
    tracemalloc.start()

    listed = (file.path for file in LocalSource(tmp_path).list("*.csv"))
    is_sorted = all(one < other for one, other in pairwise(listed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert is_sorted
    assert peak < 5_000 * 200  # a name and its place in a list; what stat tells would be far more


def test_a_folder_that_changes_while_it_is_listed_is_told_as_far_as_it_stands(
    source: LocalSource, tmp_path: Path
) -> None:
    for name in ("a.csv", "b.csv", "sub/c.csv", "z.csv"):
        source.write(name, b"1")
    listing = source.list("**/*.csv")
    seen = [next(listing).path]

    source.delete("b.csv")
    shutil.rmtree(tmp_path / "inbox/sub")
    source.write("aa.csv", b"1")
    grown = source.write("z.csv", b"longer", overwrite=True)
    rest = list(listing)

    assert seen == ["a.csv"]
    assert rest == [grown]
    assert [file.path for file in source.list("**/*.csv")] == ["a.csv", "aa.csv", "z.csv"]


def test_a_link_to_itself_is_no_file(source: LocalSource, tmp_path: Path) -> None:
    source.write("a.csv", b"1")
    (tmp_path / "inbox/loop.csv").symlink_to("loop.csv")

    assert [file.path for file in source.list("**")] == ["a.csv"]


def test_a_time_in_the_future_is_a_time(source: LocalSource, tmp_path: Path) -> None:
    source.write("a.csv", b"1")
    os.utime(tmp_path / "inbox/a.csv", ns=(0, 4_102_444_800 * 10**9))

    (file,) = source.list()

    assert file.last_modified == datetime(2100, 1, 1, tzinfo=UTC)
    assert content_of(source, file) == b"1"
    assert source.move(file, "done/a.csv") == "done/a.csv"


def test_a_check_of_a_missing_folder_does_not_make_it(source: LocalSource, tmp_path: Path) -> None:
    found = source.check()

    assert [(each.name, each.is_given) for each in found] == [("reachable", True), ("readable", False)]
    assert "isn't there: make it, or mend the source's url" in found[1].detail
    assert not (tmp_path / "inbox").exists()


def test_a_full_disk_leaves_nothing_behind(
    source: LocalSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))

    with pytest.raises(SourceError, match="disk is full"):
        source.write("a.csv", b"1")

    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_a_move_to_a_full_disk_keeps_the_file(
    source: LocalSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = source.write("a.csv", b"1")
    (tmp_path / "inbox/done").mkdir()
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))

    with pytest.raises(SourceError, match="disk is full"):
        source.move(file, "done/a.csv")

    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == ["a.csv"]


# Versions


def test_times_are_whole_microseconds_rounded_down(source: LocalSource, tmp_path: Path) -> None:
    source.write("a.csv", b"1")
    os.utime(tmp_path / "inbox/a.csv", ns=(0, 1_767_225_600_123_456_999))

    file = source.stat("a.csv")

    assert file is not None
    assert file.last_modified == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


def test_the_same_size_with_another_time_is_another_version(source: LocalSource, tmp_path: Path) -> None:
    file = source.write("a.csv", b"1")
    os.utime(tmp_path / "inbox/a.csv", ns=(0, 10**18))

    with pytest.raises(FileChangedError, match="was modified at 2001-09-09"):
        source.open(file)


def opened_after_a_first_read(source: LocalSource, size: int) -> tuple[SourceFile, Iterator[bytes]]:
    file = source.write("a.csv", b"x" * size)

    def parts() -> Iterator[bytes]:
        with source.open(file) as stream:
            yield from iter(lambda: stream.read(1000), b"")

    reading = parts()
    next(reading)
    return file, reading


def test_growing_during_a_read_is_noticed(source: LocalSource, tmp_path: Path) -> None:
    _, reading = opened_after_a_first_read(source, 1_000_000)
    with (tmp_path / "inbox/a.csv").open("ab") as writer:
        writer.write(b"more")

    with pytest.raises(FileChangedError, match="grew"):
        list(reading)


def test_shrinking_during_a_read_is_noticed(source: LocalSource, tmp_path: Path) -> None:
    _, reading = opened_after_a_first_read(source, 1_000_000)
    os.truncate(tmp_path / "inbox/a.csv", 500_000)

    with pytest.raises(FileChangedError, match="has 500000 bytes"):
        list(reading)


def test_an_edit_in_place_during_a_read_is_noticed(source: LocalSource, tmp_path: Path) -> None:
    _, reading = opened_after_a_first_read(source, 1_000_000)
    with (tmp_path / "inbox/a.csv").open("r+b") as writer:
        writer.seek(999_999)
        writer.write(b"y")
    os.utime(tmp_path / "inbox/a.csv", ns=(0, 10**18))

    with pytest.raises(FileChangedError, match="was modified"):
        list(reading)


def test_a_replacement_during_a_read_is_noticed(source: LocalSource) -> None:
    _, reading = opened_after_a_first_read(source, 1_000_000)
    source.write("a.csv", b"z" * 1_000_000, overwrite=True)

    with pytest.raises(FileChangedError, match="was replaced while"):
        list(reading)


def test_a_removal_during_a_read_is_noticed(source: LocalSource) -> None:
    _, reading = opened_after_a_first_read(source, 1_000_000)
    source.delete("a.csv")

    with pytest.raises(FileChangedError, match="was removed while"):
        list(reading)


# Names


def test_files_being_written_and_hidden_ones_are_left_out(source: LocalSource, tmp_path: Path) -> None:
    source.write("a.csv", b"1")
    for name in (".a.csv", ".a.csv.0123.fc-partial", "b.csv.fc-partial"):
        (tmp_path / "inbox" / name).write_text("x")

    assert [file.path for file in source.list("*")] == ["a.csv"]
    assert [file.path for file in source.list("{*,.*}")] == [".a.csv", "a.csv"]


def test_a_name_that_is_not_utf8_is_left_out_where_it_would_count(
    source: LocalSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source.write("a.csv", b"1")
    source.write("z.csv", b"1")
    odd = os.fsdecode(b"caf\xe9.csv")
    (tmp_path / "inbox" / odd).write_text("x")

    assert [file.path for file in source.list("a*")] == ["a.csv"]
    assert not caplog.messages
    assert [file.path for file in source.list("*.csv")] == ["a.csv", "z.csv"]
    assert "'caf\\udce9.csv' isn't UTF-8: rename the file" in caplog.text
    with pytest.raises(SourceError, match="isn't UTF-8: rename"):
        source.stat(odd)


def test_links_out_of_the_folder_are_left_out_with_a_warning(
    source: LocalSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = source.write("a.csv", b"1")
    (tmp_path / "secret.csv").write_text("x")
    (tmp_path / "inbox/b.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "inbox/folder").symlink_to(tmp_path)

    listed = [each.path for each in source.list("**/*.csv")]

    assert listed == ["a.csv"]
    assert "'b.csv' is a link out of the folder: left out" in caplog.text
    assert "'folder' is a link to a folder: left out" in caplog.text
    for path in ("b.csv", "folder/secret.csv"):
        with pytest.raises(SourceError, match="leads out"):
            source.open(replace(file, path=path))
        with pytest.raises(SourceError, match="leads out"):
            source.write(path, b"1", overwrite=True)
    with pytest.raises(SourceError, match="leads out"):
        source.move(file, "folder/a.csv")
    assert (tmp_path / "secret.csv").read_text() == "x"


def test_a_link_inside_the_folder_moves_with_the_content_it_leads_to(
    source: LocalSource, tmp_path: Path
) -> None:
    source.write("real.csv", b"content")
    (tmp_path / "inbox/link.csv").symlink_to("real.csv")
    (link,) = source.list("link.csv")

    path = source.move(link, "done/link.csv")

    moved = tmp_path / "inbox" / path
    assert not moved.is_symlink()
    assert moved.read_bytes() == b"content"
    assert sorted(file.path for file in source.list("**/*")) == ["done/link.csv", "real.csv"]


def test_links_to_nothing_and_pipes_are_no_files(source: LocalSource, tmp_path: Path) -> None:
    file = source.write("a.csv", b"1")
    (tmp_path / "inbox/gone.csv").symlink_to("nowhere")
    os.mkfifo(tmp_path / "inbox/pipe.csv")

    assert [each.path for each in source.list("*")] == ["a.csv"]
    assert source.stat("pipe.csv") is None
    with pytest.raises(FileChangedError, match="is no file"):
        source.open(replace(file, path="pipe.csv"))


def test_a_link_as_the_root_is_followed_and_keeps_its_url(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "current").symlink_to("v2")

    source = LocalSource(tmp_path / "current")
    source.write("a.csv", b"1")

    assert source.url == (tmp_path / "current").as_uri()
    assert [file.path for file in source.list()] == ["a.csv"]


# Moves that meet something


def test_a_move_between_file_systems_keeps_time_and_content(
    source: LocalSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write("a.csv", b"content")
    os.utime(tmp_path / "inbox/a.csv", ns=(10**18, 10**18 + 1000))
    file = source.stat("a.csv")
    real_link = os.link

    def between_file_systems(origin: Path, target: Path) -> None:
        if origin.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real_link(origin, target)

    monkeypatch.setattr(os, "link", between_file_systems)
    assert file is not None

    path = source.move(file, "done/a.csv")

    assert source.stat(path) == replace(file, path=path)
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == ["a.csv"]


def test_a_version_that_arrives_during_a_move_stays(
    source: LocalSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = source.write("a.csv", b"one")
    real_link = os.link

    def replaced_just_after(origin: Path, target: Path) -> None:
        real_link(origin, target)
        monkeypatch.setattr(os, "link", real_link)
        source.write("a.csv", b"newer", overwrite=True)

    monkeypatch.setattr(os, "link", replaced_just_after)

    with pytest.raises(FileChangedError, match="the new version stays"):
        source.move(file, "done/a.csv")

    assert (tmp_path / "inbox/a.csv").read_bytes() == b"newer"
    assert (tmp_path / "inbox/done/a.csv").read_bytes() == b"one"


def test_a_half_finished_link_move_is_finished(source: LocalSource, tmp_path: Path) -> None:
    file = source.write("a.csv", b"one")
    (tmp_path / "inbox/done").mkdir()
    os.link(tmp_path / "inbox/a.csv", tmp_path / "inbox/done/a.csv")

    path = source.move(file, "done/a.csv")

    assert path == "done/a.csv"
    assert not (tmp_path / "inbox/a.csv").exists()


def test_a_reader_never_sees_half_a_file(source: LocalSource, tmp_path: Path) -> None:
    seen: set[int] = set()
    stop = threading.Event()
    source.write("a.csv", b"x" * 300_000)

    def watch() -> None:
        while not stop.is_set():
            seen.add(len((tmp_path / "inbox/a.csv").read_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for size in range(300_000, 300_030):
            source.write("a.csv", b"x" * size, overwrite=True)
    finally:
        stop.set()
        watcher.join()

    assert seen <= set(range(300_000, 300_030))
