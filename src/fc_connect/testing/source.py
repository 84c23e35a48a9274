"""The promises of a source as a suite: whoever writes one inherits these tests.

class TestMySource(SourceConformance):
    @pytest.fixture
    def source(self) -> Iterator[Source]:
        with MySource(…) as source:
            yield source
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from fc_connect.errors import FileChangedError, SourceError
from fc_connect.sources import Source, SourceFile

__all__ = ["SourceConformance"]


def content_of(source: Source, file: SourceFile) -> bytes:
    """Read a file to its end."""
    with source.open(file) as stream:
        return stream.read()


class SourceConformance:
    """Needs a fixture `source`: an empty place that may be written to."""

    # Listing

    def test_an_empty_source_lists_nothing(self, source: Source) -> None:
        assert list(source.list("**/*")) == []

    def test_a_written_file_is_listed_as_write_returned_it(self, source: Source) -> None:
        written = source.write("stock.csv", b"sku,qty\nA,1\n")

        assert list(source.list()) == [written]
        assert source.stat("stock.csv") == written
        assert written.size == 12
        assert written.last_modified.tzinfo is UTC

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*", ["a.csv", "b.txt"]),
            ("*.csv", ["a.csv"]),
            ("**/*.csv", ["a.csv", "x/a.csv", "x/y/c.csv"]),
            ("**", ["a.csv", "b.txt", "x/a.csv", "x/y/c.csv", "z-1/d.CSV"]),
            ("x/*", ["x/a.csv"]),
            ("x/**", ["x/a.csv", "x/y/c.csv"]),
            ("x/**/c.csv", ["x/y/c.csv"]),
            ("?.csv", ["a.csv"]),
            ("[ab].*", ["a.csv", "b.txt"]),
            ("[!a].*", ["b.txt"]),
            ("{a.csv,x/y/*}", ["a.csv", "x/y/c.csv"]),
            ("*/*.{csv,CSV}", ["x/a.csv", "z-1/d.CSV"]),
            ("*.CSV", []),
            ("no/such/folder/*", []),
            (".hidden*", [".hidden.csv"]),
        ],
    )
    def test_a_pattern_picks_the_whole_path_in_order(
        self, source: Source, pattern: str, expected: list[str]
    ) -> None:
        for path in ["z-1/d.CSV", "x/y/c.csv", "x/a.csv", "b.txt", "a.csv", ".hidden.csv", "x/.y/e.csv"]:
            source.write(path, b"1")

        listed = [file.path for file in source.list(pattern)]

        assert listed == expected

    def test_paths_come_in_the_order_of_their_characters(self, source: Source) -> None:
        paths = [
            "a b.csv",
            "a!/1.csv",
            "a-1.csv",
            "a.csv",
            "a/1.csv",
            "a/b/1.csv",
            "a0.csv",
            "é.csv",
            "漢.csv",
        ]
        for path in reversed(paths):
            source.write(path, b"1")

        assert [file.path for file in source.list("**/*.csv")] == sorted(paths)

    @pytest.mark.parametrize(
        "path", ["a&b.csv", "a%20b+c.csv", "x=1/y#2?.csv", "q'\"<>.csv", "tab\there.csv"]
    )
    def test_any_name_can_be_written_listed_read_and_moved(self, source: Source, path: str) -> None:
        file = source.write(path, b"content")

        assert [each.path for each in source.list("**/*")] == [path]
        assert content_of(source, file) == b"content"
        assert source.move(file, f"done/{path}") == f"done/{path}"
        assert source.stat(path) is None

    def test_stat_of_what_is_not_there_is_none(self, source: Source) -> None:
        source.write("a/b.csv", b"1")

        assert source.stat("nothing.csv") is None
        assert source.stat("a") is None
        assert source.stat("a/b.csv/c") is None

    # Paths

    @pytest.mark.parametrize(
        "path", ["../x.csv", "/etc/passwd", "a/../../x", "./x.csv", "", "a//b", "a/", "a\0b"]
    )
    def test_a_path_may_not_leave_the_root(self, source: Source, path: str) -> None:
        file = source.write("a.csv", b"1")

        with pytest.raises(SourceError, match="isn't a path below"):
            source.write(path, b"1")
        with pytest.raises(SourceError, match="isn't a path below"):
            source.open(replace(file, path=path))
        with pytest.raises(SourceError, match="isn't a path below"):
            source.move(file, path)
        with pytest.raises(SourceError, match="isn't a path below"):
            source.copy(file, path)
        with pytest.raises(SourceError, match="isn't a path below"):
            source.exists(path)
        with pytest.raises(SourceError, match="isn't a path below"):
            source.delete(path)
        assert [each.path for each in source.list("**/*")] == ["a.csv"]

    # Reading

    def test_a_file_is_read_in_parts_of_any_size(self, source: Source) -> None:
        content = bytes(range(256)) * 4096
        file = source.write("big.bin", content)

        with source.open(file) as stream:
            parts = [stream.read(1), stream.read(70_000), *iter(lambda: stream.read(300_001), b"")]

        assert b"".join(parts) == content

    def test_an_empty_file_is_a_file(self, source: Source) -> None:
        file = source.write("empty.csv", b"")

        assert file.size == 0
        assert content_of(source, file) == b""

    def test_opening_a_replaced_file_is_refused(self, source: Source) -> None:
        listed = source.write("a.csv", b"one")
        source.write("a.csv", b"other content", overwrite=True)

        with pytest.raises(FileChangedError, match=r"a\.csv"):
            content_of(source, listed)

    def test_opening_a_removed_file_is_refused(self, source: Source) -> None:
        listed = source.write("a.csv", b"one")
        source.delete("a.csv")

        with pytest.raises(FileChangedError, match=r"a\.csv"):
            content_of(source, listed)

    # Writing

    def test_a_write_overwrites_only_when_told(self, source: Source) -> None:
        source.write("a.csv", b"one")

        with pytest.raises(SourceError, match="exists"):
            source.write("a.csv", b"two")
        kept = source.stat("a.csv")
        replaced = source.write("a.csv", io.BytesIO(b"three"), overwrite=True)

        assert kept is not None
        assert kept.size == 3
        assert content_of(source, replaced) == b"three"

    def test_of_many_writers_one_creates_the_file(self, source: Source) -> None:
        def write(number: int) -> int:
            try:
                source.write("a.csv", b"%d" % number)
            except SourceError:
                return 0
            return 1

        with ThreadPoolExecutor(8) as pool:
            created = sum(pool.map(write, range(16)))

        assert created == 1

    def test_a_write_whose_content_fails_leaves_nothing(self, source: Source) -> None:
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise EOFError("the sender went away")

        with pytest.raises(EOFError):
            source.write("a.csv", Failing())

        assert list(source.list("**")) == []
        assert source.stat("a.csv") is None

    # Moving

    def test_a_move_keeps_the_content_and_makes_the_folders(self, source: Source) -> None:
        file = source.write("in/a.csv", b"content")

        path = source.move(file, "done/2026/a.csv")

        moved = source.stat(path)
        assert path == "done/2026/a.csv"
        assert moved is not None
        assert content_of(source, moved) == b"content"
        assert source.stat("in/a.csv") is None

    def test_a_move_numbers_the_name_where_other_content_has_it(self, source: Source) -> None:
        for content in (b"one", b"two", b"three"):
            file = source.write("a.csv.gz", content)
            source.move(file, "done/a.csv.gz")

        kept = {file.path: content_of(source, file) for file in source.list("**/*")}

        assert kept == {"done/a.csv.gz": b"one", "done/a-1.csv.gz": b"two", "done/a-2.csv.gz": b"three"}

    def test_a_move_that_broke_off_before_the_removal_is_finished(self, source: Source) -> None:
        file = source.write("a.csv", b"content")
        source.write("done/a.csv", b"content")

        path = source.move(file, "done/a.csv")

        assert path == "done/a.csv"
        assert [each.path for each in source.list("**/*")] == ["done/a.csv"]

    def test_a_finished_move_done_again_returns_its_path(self, source: Source) -> None:
        source.write("done/a.csv", b"older")
        file = source.write("a.csv", b"content")
        first = source.move(file, "done/a.csv")

        again = source.move(file, "done/a.csv")

        assert (first, again) == ("done/a-1.csv", "done/a-1.csv")
        assert len(list(source.list("**/*"))) == 2

    def test_a_newer_version_is_not_moved(self, source: Source) -> None:
        listed = source.write("a.csv", b"one")
        newer = source.write("a.csv", b"newer", overwrite=True)

        with pytest.raises(FileChangedError):
            source.move(listed, "done/a.csv")

        assert list(source.list("**/*")) == [newer]

    def test_a_newer_version_stays_when_a_finished_move_is_done_again(self, source: Source) -> None:
        listed = source.write("a.csv", b"one")
        source.move(listed, "done/a.csv")
        newer = source.write("a.csv", b"newer")

        path = source.move(listed, "done/a.csv")

        assert path == "done/a.csv"
        assert source.stat("a.csv") == newer

    def test_moving_what_never_was_is_refused(self, source: Source) -> None:
        file = replace(source.write("a.csv", b"one"), path="b.csv")

        with pytest.raises(FileChangedError):
            source.move(replace(file, size=7), "done/b.csv")

    def test_a_move_onto_itself_changes_nothing(self, source: Source) -> None:
        file = source.write("a.csv", b"one")

        assert source.move(file, "a.csv") == "a.csv"
        assert list(source.list()) == [file]

    def test_of_many_files_moved_to_one_name_none_is_lost(self, source: Source) -> None:
        files = [source.write(f"{number}.csv", b"%d" % number) for number in range(6)]

        with ThreadPoolExecutor(6) as pool:
            paths = list(pool.map(lambda file: source.move(file, "done/x.csv"), files))

        assert len(set(paths)) == 6
        assert {content_of(source, file) for file in source.list("done/*")} == {b"%d" % n for n in range(6)}

    # Copying

    def test_a_copy_leaves_both_and_overwrites_nothing(self, source: Source) -> None:
        source.write("kept/a.csv", b"other")
        file = source.write("in/a.csv", b"content")

        path = source.copy(file, "kept/a.csv")

        assert path == "kept/a-1.csv"
        kept = {each.path: content_of(source, each) for each in source.list("**/*")}
        assert kept == {"in/a.csv": b"content", "kept/a.csv": b"other", "kept/a-1.csv": b"content"}

    def test_a_copy_done_again_is_not_a_second_one(self, source: Source) -> None:
        source.write("kept/a.csv", b"older")
        file = source.write("a.csv", b"content")

        paths = {source.copy(file, "kept/a.csv") for _ in range(3)}

        assert paths == {"kept/a-1.csv"}
        assert len(list(source.list("kept/*"))) == 2

    def test_a_copy_done_again_after_the_file_went_returns_its_path(self, source: Source) -> None:
        file = source.write("a.csv", b"content")
        first = source.copy(file, "kept/a.csv")
        source.delete("a.csv")

        assert source.copy(file, "kept/a.csv") == first

    def test_a_copy_onto_itself_changes_nothing(self, source: Source) -> None:
        file = source.write("a.csv", b"one")

        assert source.copy(file, "a.csv") == "a.csv"
        assert list(source.list("**")) == [file]

    def test_a_copy_and_its_file_go_ways_of_their_own(self, source: Source) -> None:
        file = source.write("a.csv", b"one")
        copy = source.stat(source.copy(file, "kept/a.csv"))
        assert copy is not None

        paths = [source.move(file, "done/a.csv"), source.move(copy, "older/a.csv")]

        assert paths == ["done/a.csv", "older/a.csv"]
        assert [each.path for each in source.list("**/*")] == paths

    def test_a_newer_version_is_not_copied(self, source: Source) -> None:
        listed = source.write("a.csv", b"one")
        source.write("a.csv", b"newer", overwrite=True)

        with pytest.raises(FileChangedError):
            source.copy(listed, "kept/a.csv")

        assert [file.path for file in source.list("**/*")] == ["a.csv"]

    def test_a_copy_stays_as_it_was_when_the_file_is_written_anew(self, source: Source) -> None:
        path = source.copy(source.write("a.csv", b"one"), "kept/a.csv")

        source.write("a.csv", b"two", overwrite=True)

        copied = source.stat(path)
        assert copied is not None
        assert content_of(source, copied) == b"one"

    # The rest

    def test_a_file_exists_and_its_folder_is_none(self, source: Source) -> None:
        source.write("a/b.csv", b"1")

        assert source.exists("a/b.csv")
        assert not source.exists("a")
        assert not source.exists("c.csv")

    @pytest.mark.parametrize("has_file", [True, False])
    def test_a_check_tells_what_may_be_done_and_leaves_nothing(self, source: Source, has_file: bool) -> None:
        if has_file:
            source.write("a.csv", b"1")

        found = source.check()
        read_only = source.check(writes=False)

        assert [(each.name, each.is_given) for each in found] == [
            ("reachable", True),
            ("readable", True),
            ("writable", True),
        ]
        assert [each.name for each in read_only] == ["reachable", "readable"]
        left = [each.path for pattern in ("**", "**/.*") for each in source.list(pattern)]
        assert left == (["a.csv"] if has_file else [])

    def test_delete_removes_a_file_once(self, source: Source) -> None:
        source.write("a/b.csv", b"1")

        source.delete("a/b.csv")
        source.delete("a/b.csv")

        assert list(source.list("**/*")) == []

    def test_a_listed_file_is_not_older_than_its_writing(self, source: Source) -> None:
        first = source.write("a.csv", b"1")
        second = source.write("b.csv", b"2")

        assert second.last_modified - first.last_modified >= timedelta(0)
