"""Opening a source by its URL, and the patterns that all sources share."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FCConnectError, MissingExtraError, SourceError
from fc_connect.sources import open_source
from fc_connect.sources.paths import PathPattern, checked_path, numbered


def test_an_unknown_kind_of_source_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no source of kind 'ftp'\. Known: .*, file://, s3://"):
        open_source("ftp://host/in")


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("inbox", "file:///base/inbox"),
        ("./inbox/", "file:///base/inbox"),
        ("../in box", "file:///in%20box"),
        ("/abs/inbox", "file:///abs/inbox"),
        ("file:///abs/in%20box/", "file:///abs/in%20box"),
        ("FILE://localhost/abs", "file:///abs"),
    ],
)
def test_a_folder_is_named_in_many_ways_and_has_one_url(url: str, opened: str) -> None:
    assert open_source(url, base=Path("/base")).url == opened


@pytest.mark.parametrize("url", ["", "file://host/inbox", "file://", "file:///a?b=c", "a\0b"])
def test_what_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no folder"):
        open_source(url)


def test_a_folder_takes_no_options() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'region'\. Known: none"):
        open_source("inbox", region="eu-west-1")


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fc_connect.sources.s3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'fc-connect\[s3\]'"):
        open_source("s3://inbox/")


def test_importing_sources_and_formats_loads_no_driver() -> None:
    code = "import sys, fc_connect.sources, fc_connect.formats, fc_connect.sources.local; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"boto3", "botocore", "urllib3"} & set(loaded.stdout.split())


# Patterns


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*", "a/b", False),
        ("*", "a\nb", True),
        ("**/*", "a", True),
        ("**/*", "a/b/c", True),
        ("**/*", "a/.b/c", False),
        ("**/.b/*", "a/.b/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("a**b", "axxb", True),
        ("a**b", "a/b", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[]]", "]", True),
        ("[[]", "[", True),
        ("[{]", "{", True),
        ("[a&&b]", "&", True),
        ("[!a]", "/", False),
        ("{a,b{c,d}}.csv", "bd.csv", True),
        ("{a,b{c,d}}.csv", "b.csv", False),
        ("{,x-}a", "a", True),
        ("a.csv", "a!csv", False),
        ("a+(b)$.csv", "a+(b)$.csv", True),
        ("STOCK.csv", "stock.csv", False),
        ("*.csv", "a.csv\n", False),
        ("*", ".a", False),
        (".*", ".a", True),
        (".csv", "a.csv", False),
        (".csv", ".csv", True),
        ("(x", "(x", True),
        ("a.?", "a.", False),
        ("[.]a", ".a", True),
        ("*", "a.fc-partial", False),
    ],
)
def test_a_pattern_matches_the_whole_path(pattern: str, path: str, matches: bool) -> None:
    assert PathPattern.compiled(pattern).matches(path) is matches


@pytest.mark.parametrize("pattern", ["", "/a", "a/", "[a", "{a", "{a,b", "[z-a]", "{a,b}" * 12])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The pattern '{re.escape(pattern)}"):
        PathPattern.compiled(pattern)


@given(st.text("ab*?[]{},!^./-\\", max_size=12), st.text("ab.[]{}/-", max_size=8))
def test_any_pattern_works_or_is_refused_and_its_prefix_is_true(pattern: str, path: str) -> None:
    try:
        compiled = PathPattern.compiled(pattern)
    except FCConnectError:
        return

    if compiled.matches(path):
        assert path.startswith(compiled.prefix)
        folders = path.split("/")[:-1]
        assert all(compiled.may_match_below("/".join(folders[: n + 1])) for n in range(len(folders)))


@given(st.text("ab.c", min_size=1, max_size=8))
def test_a_path_without_magic_matches_itself_alone(path: str) -> None:
    assert PathPattern.compiled(path).matches(path)
    assert not PathPattern.compiled(path).matches(path + "x")


# Paths


@given(st.text(max_size=12))
def test_a_checked_path_stays_below_any_root(path: str) -> None:
    try:
        checked = checked_path(path)
    except SourceError:
        return

    assert checked == path
    assert Path("/root", path).is_relative_to("/root")
    assert ".." not in Path(path).parts
    assert Path(path).as_posix() == path


@pytest.mark.parametrize(
    ("path", "second"),
    [
        ("a.csv", "a-1.csv"),
        ("x.y/a.csv.gz", "x.y/a-1.csv.gz"),
        ("a", "a-1"),
        (".a", ".a-1"),
        ("x/.a.csv", "x/.a-1.csv"),
    ],
)
def test_a_number_comes_before_the_suffixes(path: str, second: str) -> None:
    names = numbered(path)

    assert (next(names), next(names)) == (path, second)
