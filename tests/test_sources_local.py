"""Local folders: the suite of all sources, and what only a file system can do wrong."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fc_connect.errors import FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources import Source, SourceFile
from fc_connect.sources.local import LocalSource
from fc_connect.testing.source import SourceConformance


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_the_right_to_read_is_refused(source: LocalSource, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir(mode=0)

    with pytest.raises(SourceError, match="denied"):
        list(source.list())


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
