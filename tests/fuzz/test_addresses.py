"""URLs of stores and sources, as wrong as people and attackers write them."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect import kv
from fc_connect.errors import ConfigurationError, FCConnectError
from fc_connect.kv import open_kv
from fc_connect.kv.sqlite import SQLiteKV
from fc_connect.sources import open_source
from fc_connect.sources.local import LocalSource
from tests.fuzz.effort import examples

SECRET = "CaNaRy7f3a"
ODD = st.sampled_from(
    [":", "/", "//", "?", "#", "@", "[", "]", "%", "%2", "%00", "%ff", "\0", "\n", " ", "..", "~", "~x", "\ud800",
     "é", "&", "=", "localhost", "127.0.0.1:1", "99999", "wait_replicas=x", "db=x", "foo=bar", "x" * 300]
)  # fmt: skip
TAIL = st.lists(ODD | st.text(max_size=5), max_size=8).map("".join)


class OpenedError(Exception):
    """The URL was taken: a server would be asked now."""


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be connected to: what is looked at here comes before that."""
    import psycopg
    import redis

    def connect(*_: object, **__: object) -> None:
        raise OpenedError

    def connect_as_libpq_reads_it(url: str, **__: object) -> None:
        psycopg.conninfo.conninfo_to_dict(url)
        raise OpenedError

    monkeypatch.setattr(redis.connection.Connection, "connect", connect)
    monkeypatch.setattr(psycopg, "connect", connect_as_libpq_reads_it)


@examples(400)
@given(
    st.sampled_from(
        ["redis://", "rediss://", "postgresql://", "postgres://", "redis:", "postgresql:", "", "x://"]
    ),
    TAIL,
)
@example("redis://", "[")
@example("redis://", "127.0.0.1:1/0?foo=bar")
@example("redis://", "127.0.0.1:1/0?wait_replicas=\u00b2")
def test_the_url_of_a_server_is_taken_or_refused(nowhere: None, scheme: str, tail: str) -> None:
    with contextlib.suppress(FCConnectError, OpenedError):
        open_kv(scheme + tail).close()


@examples(200)
@given(TAIL, st.sampled_from(["", "127.0.0.1:1/0", "localhost", "localhost/db?x=y", "[::1]:1/db"]))
def test_a_password_in_the_url_of_a_store_is_never_repeated(nowhere: None, odd: str, host: str) -> None:
    for scheme in ("redis", "postgresql"):
        with pytest.raises((FCConnectError, OpenedError)) as raised:
            open_kv(f"{scheme}://user:{SECRET}{odd}{SECRET}@{host}").close()
        assert SECRET not in told(raised.value)


@pytest.mark.parametrize("odd", ["/", "?", "#", "@", "%zz", ":", " ", "[", "%"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql", "postgres"])
def test_a_driver_does_not_repeat_a_password_that_breaks_the_url(scheme: str, odd: str) -> None:
    # The real drivers, at a port where nobody listens.
    with pytest.raises(FCConnectError) as raised:
        open_kv(f"{scheme}://user:{SECRET}{odd}{SECRET}@127.0.0.1:1/0")

    assert SECRET not in told(raised.value)


@examples(300)
@given(TAIL)
@example("\ud800")
@example("%00")
@example("%ff")
def test_the_path_of_a_sqlite_file_is_taken_or_refused(tail: str) -> None:
    with contextlib.suppress(ConfigurationError):
        assert isinstance(kv._path_of(f"sqlite:///{tail}"), Path)


def test_a_sqlite_file_whose_name_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FCConnectError):
        SQLiteKV(tmp_path / ("x" * 300))


@examples(150)
@given(st.sampled_from(["file://", "file:///", "s3://", "s3:", "", "sftp://", "~"]), TAIL)
@example("file://", "[")
@example("~", "nobody-has-this-name/x")
@example("", "\ud800")
@example("s3://", "key:SEC/RET@bucket/folder")
def test_the_url_of_a_source_is_taken_or_refused(scheme: str, tail: str) -> None:
    with (
        contextlib.suppress(FCConnectError),
        open_source(scheme + tail, base=Path("/nowhere")) as source,
    ):
        source.url.encode()
        if isinstance(source, LocalSource):
            source.stat("x")


def told(error: BaseException) -> str:
    """Return all that a traceback of `error` would show of errors."""
    return "".join(traceback.format_exception(error))
