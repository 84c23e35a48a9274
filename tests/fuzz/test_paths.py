"""Patterns and names of files: any text is a path below the source or is refused, and no pattern takes for ever."""

from __future__ import annotations

import contextlib
import time
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FCConnectError, SourceError
from fc_connect.sources import open_source
from fc_connect.sources.paths import PathPattern, checked_path, numbered
from tests.fuzz.effort import examples

PARTS = st.sampled_from(
    ["..", ".", "", "a", ".hidden", "*", "**", "?", "[", "]", "[!a]", "[]]", "[a-", "[z-a]", "{a,b}", "{", "}", ",",
     "\0", "\n", "\x1b", "\ud800", "é", "x" * 300, "a.csv", "~", "C:", "\\", "..\\..", "%2e%2e", "[[:alpha:]]"]
)  # fmt: skip
TEXT = st.lists(PARTS | st.text(max_size=3), max_size=6).map("/".join) | st.lists(PARTS, max_size=8).map(
    "".join
)


@examples(400)
@given(TEXT, TEXT)
@example("[a-\\d]", "a")
@example("{a,{b,c}}", "b")
def test_a_pattern_matches_or_is_refused_and_never_leads_elsewhere(pattern: str, path: str) -> None:
    with contextlib.suppress(ConfigurationError):
        compiled = PathPattern.compiled(pattern)
        if compiled.matches(path):
            assert path.startswith(compiled.prefix)
            folder, slash, _ = path.rpartition("/")
            assert not slash or compiled.may_match_below(folder)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*b", "a" * 255),
        ("*_*_*_*.csv", "_" * 255),
        ("**/" * 6 + "x", "a/" * 500 + "y"),
        ("[!b]*" * 6 + "b", "a" * 255),
        ("{" + ",".join(["a*"] * 900) + "}", "b" * 1000),
    ],
)
def test_matching_a_hostile_name_ends(pattern: str, path: str) -> None:
    # The pattern is the operator's; the name is anybody's.
    compiled = PathPattern.compiled(pattern)
    began = time.monotonic()

    assert not compiled.matches(path)

    assert time.monotonic() - began < 5


@examples(300)
@given(TEXT)
@example("a/../../b")
@example("/etc/passwd")
def test_a_path_stays_below_the_source_or_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    outside = tmp_path / "outside.csv"
    outside.write_text("precious")

    with open_source(str(root), base=tmp_path) as source:
        with contextlib.suppress(FCConnectError):
            written = source.write(path, b"x")
            assert (root / written.path).resolve().is_relative_to(root.resolve())
            with source.open(written) as stream:
                assert stream.read() == b"x"
        with contextlib.suppress(FCConnectError):
            source.delete(path)

    assert outside.read_text() == "precious"
    assert {each.name for each in tmp_path.iterdir()} == {"root", "outside.csv"}


@examples(200)
@given(TEXT.filter(bool))
def test_numbered_names_are_paths_where_the_first_is(path: str) -> None:
    with contextlib.suppress(SourceError):
        checked_path(path)
        names = list(islice(numbered(path), 4))
        assert len(set(names)) == 4
        assert all(checked_path(each) for each in names)
