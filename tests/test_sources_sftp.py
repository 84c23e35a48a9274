"""SFTP: the suite of all sources against real servers, and what only a server far away can do wrong."""

from __future__ import annotations

import gc
import io
import logging
import os
import pickle
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, FileChangedError, SourceError, SourceUnavailableError
from fc_connect.proof.proxy import Proxy
from fc_connect.proof.toxics import Kind, LimitData, SlowClose, Timeout
from fc_connect.sources import Source, open_source
from fc_connect.sources.sftp import SFTPSource
from fc_connect.testing.source import SourceConformance, content_of
from tests.servers import spare_port
from tests.sshd import OpenSSHServer, PasswordServer, running

CONTENT = b"".join(b"%07d,a record of some length\n" % number for number in range(50_000))


@pytest.fixture(scope="module")
def sshd() -> Iterator[OpenSSHServer]:
    yield from running()


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PasswordServer]:
    server = PasswordServer(tmp_path_factory.mktemp("sftp"), is_plain=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def data(sshd: OpenSSHServer) -> Path:
    """The folder that is served, empty."""
    shutil.rmtree(sshd.data)
    sshd.data.mkdir()
    sshd.own(sshd.data)
    return sshd.data


@pytest.fixture
def source(sshd: OpenSSHServer, data: Path) -> Iterator[SFTPSource]:
    with connect(sshd) as source:
        yield source


def connect(sshd: OpenSSHServer, url: str | None = None, **options: Any) -> SFTPSource:
    settings = {"private_key": sshd.key, "max_attempts": 1, **options}
    if "host_key" not in settings:
        settings.setdefault("known_hosts", sshd.known_hosts)
    source = open_source(url or sshd.url(), **settings)
    assert isinstance(source, SFTPSource)
    source._link._clock = ManualClock()  # waits between attempts take no time
    return source


def through(proxy: Proxy, sshd: OpenSSHServer, **options: Any) -> SFTPSource:
    """Connect by way of a proxy, on whose port the server's key isn't known by name."""
    return connect(sshd, proxy.url(sshd.url()), host_key=sshd.fingerprint, **{"max_attempts": 5, **options})


# Connected once: what the suite asks of a source doesn't hang on how often it connects.


@pytest.fixture(scope="module")
def openssh_source(sshd: OpenSSHServer) -> Iterator[SFTPSource]:
    with connect(sshd) as source:
        yield source


@pytest.fixture(scope="module")
def plain_source(plain_server: PasswordServer) -> Iterator[SFTPSource]:
    url = f"{plain_server.url}~/in box/"
    host_key = plain_server.host_key.get_fingerprint()
    source = open_source(url, password=plain_server.password, host_key=host_key)
    assert isinstance(source, SFTPSource)
    with source:
        yield source


class TestSFTPSource(SourceConformance):
    @pytest.fixture
    def source(self, openssh_source: SFTPSource, data: Path) -> Source:
        return openssh_source


class TestSFTPSourceWithAPasswordAndNoExtensions(SourceConformance):
    """Another server, and none of the extensions that OpenSSH has: the protocol of 2001 and nothing more."""

    @pytest.fixture
    def source(self, plain_server: PasswordServer, plain_source: SFTPSource) -> Source:
        shutil.rmtree(plain_server.data)
        (plain_server.data / "in box").mkdir(parents=True)
        return plain_source


# Whose server it is


def key_of(kind: str = "ssh-ed25519") -> Any:
    return asyncssh.generate_private_key(kind)


def test_an_unknown_server_is_refused_with_the_fingerprint_that_it_showed(
    sshd: OpenSSHServer, tmp_path: Path
) -> None:
    with (
        connect(sshd, known_hosts=tmp_path / "none") as source,
        pytest.raises(SourceError, match="isn't known") as caught,
    ):
        source.stat("a.csv")

    assert sshd.fingerprint in str(caught.value)
    assert "host_key" in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_changed_key_is_refused_with_both_fingerprints(
    sshd: OpenSSHServer, tmp_path: Path, kind: str
) -> None:
    former = key_of(kind)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {former.export_public_key().decode()}")

    with (
        connect(sshd, known_hosts=known_hosts) as source,
        pytest.raises(SourceError, match="isn't the one that is expected") as caught,
    ):
        source.stat("a.csv")

    assert sshd.fingerprint in str(caught.value)
    assert former.get_fingerprint() in str(caught.value)


def test_a_known_host_may_be_hashed_and_a_revoked_key_counts_for_nothing(
    sshd: OpenSSHServer, data: Path, tmp_path: Path
) -> None:
    hashed = tmp_path / "known_hosts"
    shutil.copy(sshd.known_hosts, hashed)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", hashed], check=True, capture_output=True)
    assert "127.0.0.1" not in hashed.read_text()
    revoked = tmp_path / "revoked"
    revoked.write_text(
        f"{sshd.known_hosts.read_text()}@revoked * {sshd.host_key.export_public_key().decode()}"
    )

    with connect(sshd, known_hosts=hashed) as source:
        assert list(source.list()) == []
    with connect(sshd, known_hosts=revoked) as source, pytest.raises(SourceError, match="revoked"):
        list(source.list())


def test_known_hosts_are_those_of_the_user_where_nothing_else_is_said(
    sshd: OpenSSHServer, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    shutil.copy(sshd.known_hosts, tmp_path / ".ssh" / "known_hosts")

    with open_source(sshd.url(), private_key=sshd.key) as source:
        assert list(source.list()) == []


def test_one_pinned_fingerprint_of_several_is_enough_whatever_the_kind_of_its_key() -> None:
    ed25519, ecdsa, stranger = key_of(), key_of("ecdsa-sha2-nistp256"), key_of()
    server = OpenSSHServer()
    try:
        server.start(ed25519, ecdsa)
        for pins in (
            [ecdsa.get_fingerprint()],
            [stranger.get_fingerprint(), ed25519.get_fingerprint() + "="],
        ):
            with connect(server, host_key=pins) as source:
                assert list(source.list()) == []
        with (
            connect(server, host_key=stranger.get_fingerprint()) as source,
            pytest.raises(SourceError, match="isn't the one that is expected") as caught,
        ):
            list(source.list())
    finally:
        server.remove()

    for key in (ed25519, ecdsa, stranger):
        assert key.get_fingerprint() in str(caught.value)


# Who we are


@pytest.fixture(scope="module", params=["password", "keyboard-interactive"])
def password_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PasswordServer]:
    server = PasswordServer(tmp_path_factory.mktemp("sftp"), method=request.param)
    server.start()
    yield server
    server.stop()


def test_a_password_is_told_only_to_the_server_that_was_meant(password_server: PasswordServer) -> None:
    server = password_server
    server.told.unlink(missing_ok=True)

    with (
        open_source(server.url, password="secret", host_key=key_of().get_fingerprint()) as source,
        pytest.raises(SourceError, match="No password was sent"),
    ):
        source.stat("a.csv")
    told_a_stranger = server.passwords_told
    with open_source(
        server.url, password=server.password, host_key=server.host_key.get_fingerprint()
    ) as source:
        assert source.stat("a.csv") is None

    assert told_a_stranger == []
    assert server.passwords_told == [server.password]


def test_a_wrong_password_is_tried_once_and_not_repeated_to_anyone(
    password_server: PasswordServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = password_server
    server.told.unlink(missing_ok=True)
    caplog.set_level(logging.DEBUG)

    with open_source(
        server.url, password="not-this-one", host_key=server.host_key.get_fingerprint()
    ) as source:
        with pytest.raises(SourceError, match="Can't log in") as caught:
            source.stat("a.csv")
        shown = f"{source!r} {vars(source)} {vars(vars(source)['_link'])} {caplog.text} {caught.getrepr()}"

    assert server.passwords_told == ["not-this-one"]
    assert f"the server offers {server._settings['method']}" in str(caught.value)
    assert f"tried was {server._settings['method']}" in str(caught.value)
    assert "not-this-one" not in shown.replace('password="not-this-one"', "")  # as the test's own text has it


def test_a_refused_key_is_named_with_what_the_server_offers(sshd: OpenSSHServer, tmp_path: Path) -> None:
    other = key_of()
    other.write_private_key(tmp_path / "other")

    with (
        connect(sshd, private_key=tmp_path / "other", password="secret") as source,
        pytest.raises(SourceError, match="offers publickey; tried was publickey") as caught,
    ):
        source.stat("a.csv")

    assert other.get_fingerprint() in str(caught.value)


def test_a_key_may_have_a_passphrase(sshd: OpenSSHServer, data: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    shutil.copy(sshd.key, locked)
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", locked], check=True)

    with connect(sshd, private_key="locked", passphrase="open sesame", base=tmp_path) as source:
        assert list(source.list()) == []
    for wrong in ("open barley", None):
        with (
            connect(sshd, private_key=locked, passphrase=wrong) as source,
            pytest.raises(ConfigurationError, match="can't be used"),
        ):
            list(source.list())


def test_an_agent_holds_the_key_where_it_is_asked_to(
    sshd: OpenSSHServer, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with (
        connect(sshd, private_key=None, agent=True) as source,
        pytest.raises(ConfigurationError, match="SSH_AUTH_SOCK"),
    ):
        list(source.list())

    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL)
    try:
        while subprocess.run(["ssh-add", "-q", sshd.key], capture_output=True).returncode:
            time.sleep(0.01)
        with connect(sshd, private_key=None, agent=True) as source:
            assert list(source.list()) == []
    finally:
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("sftp://u:secret@h/x/", {}, "password"),
        ("sftp://u@/x/", {}, "names no folder"),
        ("sftp://u@h", {}, "names no folder"),
        ("sftp://u@h/a/../b", {}, r"may not have"),
        ("sftp://u@h:99999/x", {}, "isn't a URL"),
        ("sftp://u@h/%FF", {}, "isn't a URL"),
        ("sftp://u@h/x?y=1", {}, "names no folder"),
        ("sftp://h/x/", {}, "No user"),
        ("sftp://u@h/x/", {"username": "v"}, "give one"),
        ("sftp://u@h/x/", {"private_key": None}, "Nothing to log in"),
        ("sftp://u@h/x/", {"private_key": None, "password": "p", "passphrase": "q"}, "belongs to"),
        ("sftp://u@h/x/", {"host_key": "MD5:00:11"}, "isn't a fingerprint"),
        ("sftp://u@h/x/", {"host_key": f"SHA256:{'a' * 43}", "known_hosts": "k"}, "can't be used together"),
        ("sftp://u@h/x/", {"connections": 0}, "at least 1"),
        ("sftp://u@h/x/", {"stall_timeout": timedelta(0)}, "longer than nothing"),
        ("sftp://u@h/x/", {"insecure": True}, "no option 'insecure'"),
    ],
)
def test_a_url_or_options_that_make_no_sense_are_refused(
    url: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_source(url, **{"private_key": "id", **options})

    assert "secret" not in str(caught.value)


@given(st.text() | st.text().map(lambda text: f"sftp://u@h{text}"))
def test_any_text_names_a_folder_or_is_refused(text: str) -> None:
    with suppress(ConfigurationError):
        url = SFTPSource.from_url(text, username="u", private_key="id").url
        assert SFTPSource.from_url(url, private_key="id").url == url


def test_a_url_is_canonical() -> None:
    urls = ["sftp://u@HOST:22/in%20box", "sftp://u@host//in box/", "sftp://host/in%20box/"]

    opened = [open_source(url, username="u", private_key="id") for url in urls]
    home = open_source("sftp://u@host:2222/~/", private_key="id")

    assert {source.url for source in opened} == {"sftp://u@host/in%20box/"}
    assert home.url == "sftp://u@host:2222/~/"


# Reading through a network that breaks


@pytest.fixture
def big(data: Path) -> Path:
    path = data / "big.csv"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def proxy(sshd: OpenSSHServer) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", sshd.port, seed=7) as proxy:
        yield proxy


@pytest.mark.parametrize("then", [Kind.CLOSE, Kind.RESET, None])
def test_a_read_goes_on_at_the_byte_where_the_connection_broke_or_stalled(
    sshd: OpenSSHServer, big: Path, proxy: Proxy, then: Kind | None
) -> None:
    with (
        through(proxy, sshd, stall_timeout=timedelta(seconds=0.4), max_attempts=20) as source,
        proxy.toxic(LimitData(max_bytes=600_000, then=then), direction="downstream"),
    ):
        [file] = source.list()
        content = content_of(source, file)

    assert content == CONTENT
    assert proxy.accepted >= 3
    if then is not Kind.RESET:  # which also takes what had arrived and wasn't read yet
        assert proxy.passed["downstream"] < 3 * len(CONTENT)


def test_a_read_goes_on_when_the_server_was_started_anew(sshd: OpenSSHServer, big: Path) -> None:
    with connect(sshd, max_attempts=3) as source:
        [file] = source.list()
        with source.open(file) as stream:
            first = stream.read(100_000)
            sshd.stop()
            sshd.start()
            rest = stream.read()

    assert first + rest == CONTENT


def test_a_read_that_makes_no_progress_is_given_up(sshd: OpenSSHServer, big: Path, proxy: Proxy) -> None:
    with through(proxy, sshd, max_attempts=3) as source:
        [file] = source.list()
        stream = source.open(file)
        proxy.down()
        with pytest.raises(SourceUnavailableError, match="Tried 3 times"):
            stream.read()
        proxy.up()
        rest = stream.read()
        stream.close()

    assert CONTENT.endswith(rest)
    assert rest


def test_a_server_that_is_away_or_silent_is_unavailable(sshd: OpenSSHServer, proxy: Proxy) -> None:
    nowhere = f"sftp://u@127.0.0.1:{spare_port()}/"
    with (
        connect(sshd, nowhere) as source,
        pytest.raises(SourceUnavailableError, match="can't be reached"),
    ):
        source.stat("a.csv")
    with (
        proxy.toxic(Timeout(), direction="downstream"),
        through(proxy, sshd, connect_timeout=timedelta(seconds=0.3), max_attempts=1) as source,
        pytest.raises(SourceUnavailableError, match="connect_timeout") as caught,
    ):
        source.stat("a.csv")

    assert type(pickle.loads(pickle.dumps(caught.value))) is SourceUnavailableError


def test_an_idle_connection_that_died_is_noticed_by_keepalive(
    sshd: OpenSSHServer, data: Path, proxy: Proxy
) -> None:
    (data / "a.csv").write_bytes(b"1")
    with through(proxy, sshd, keepalive=timedelta(seconds=0.1)) as source:
        source.stat("a.csv")
        [slot] = [slot for slot in source._link._slots if slot.session is not None]
        session = slot.session
        proxy.add(Timeout(), direction="downstream", spares_new=True)
        deadline = time.monotonic() + 30
        while session is not None and session.is_open and time.monotonic() < deadline:
            time.sleep(0.02)
        found = source.stat("a.csv")

    assert found is not None
    assert proxy.accepted == 2


def test_a_goodbye_that_nobody_hears_is_soon_over(sshd: OpenSSHServer, data: Path, proxy: Proxy) -> None:
    threads = threading.active_count()
    source = through(proxy, sshd)
    list(source.list())

    with proxy.toxic(SlowClose(delay=timedelta(minutes=5)), direction="downstream"):
        source.close()
        source.close()

    assert threading.active_count() == threads
    with pytest.raises(SourceError, match="was closed"):
        list(source.list())


# Files that change


@pytest.mark.parametrize("change", ["grown", "shorter", "replaced", "gone"])
def test_a_file_that_changes_while_it_is_read_is_told_before_its_end(
    source: SFTPSource, big: Path, change: str
) -> None:
    [file] = source.list()

    with source.open(file) as stream:
        stream.read(1000)
        if change == "grown":
            with big.open("ab") as more:
                more.write(b"more")
        elif change == "shorter":
            os.truncate(big, 2000)
        elif change == "replaced":
            (big.parent / ".new").write_bytes(CONTENT[:-1] + b"!")
            os.utime(big.parent / ".new", (1, file.last_modified.timestamp() + 1))
            (big.parent / ".new").replace(big)
        else:
            big.unlink()
        with pytest.raises(FileChangedError, match=r"big\.csv"):
            stream.read()


def test_a_replacement_of_the_same_size_and_second_is_told_from_what_was_read_when_the_connection_breaks(
    source: SFTPSource, sshd: OpenSSHServer, big: Path
) -> None:
    """By size and time SFTP can't tell the two apart; mixing them would change records silently."""
    source._link._max_attempts = 3
    [file] = source.list()

    with source.open(file) as stream:
        stream.read(1000)
        big.unlink()  # what is open stays; only the name leads elsewhere
        big.write_bytes(CONTENT[::-1])
        os.utime(big, (1, file.last_modified.timestamp()))
        sshd.cut_sessions()
        with pytest.raises(FileChangedError, match="replaced"):
            stream.read()


def test_a_time_in_the_future_is_a_time(source: SFTPSource, data: Path) -> None:
    (data / "a.csv").write_bytes(b"1")
    os.utime(data / "a.csv", (1, 4_102_444_800))

    [file] = source.list()

    assert file.last_modified.isoformat() == "2100-01-01T00:00:00+00:00"
    assert content_of(source, file) == b"1"
    assert source.move(file, "done/a.csv") == "done/a.csv"


# Names, links and rights


def test_what_is_no_file_is_neither_listed_nor_opened(source: SFTPSource, data: Path) -> None:
    os.mkfifo(data / "pipe.csv")
    (data / "folder.csv").mkdir()
    (data / "a.csv").write_bytes(b"")
    [file] = source.list("*.csv")

    for name in ("pipe.csv", "folder.csv"):
        with pytest.raises(FileChangedError, match="is no file"):
            source.open(replace(file, path=name))


def test_a_name_that_is_not_utf_8_is_refused_where_it_would_count(source: SFTPSource, data: Path) -> None:
    Path(os.fsdecode(os.fsencode(data) + b"/caf\xe9.csv")).write_bytes(b"1")
    (data / "a.txt").write_bytes(b"1")

    assert [file.path for file in source.list("*.txt")] == ["a.txt"]
    with pytest.raises(SourceError, match="isn't UTF-8"):
        list(source.list("*.csv"))


def test_links_are_followed_to_files_inside_and_nowhere_else(
    source: SFTPSource, sshd: OpenSSHServer, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = sshd.folder / "outside"
    outside.mkdir(exist_ok=True)
    sshd.own(outside)
    (outside / "secret.csv").write_bytes(b"secret")
    (data / "real").mkdir()
    (data / "real" / "a.csv").write_bytes(b"content")
    (data / "a.csv").symlink_to("real/a.csv")
    (data / "dangling.csv").symlink_to("nothing")
    (data / "secret.csv").symlink_to(outside / "secret.csv")
    (data / "in").symlink_to("real")
    (data / "out").symlink_to(outside)

    listed = list(source.list("**/*.csv"))

    assert [file.path for file in listed] == ["a.csv", "real/a.csv"]
    assert content_of(source, listed[0]) == b"content"
    assert "link to a folder" in caplog.text
    assert "link out of the folder" in caplog.text
    for path in ("secret.csv", "out/secret.csv", "out/new.csv"):
        with pytest.raises(SourceError, match="leads out"):
            source.stat(path)
        with pytest.raises(SourceError, match="leads out"):
            source.write(path, b"1", overwrite=True)
        with pytest.raises(SourceError, match="leads out"):
            source.move(listed[0], path)
        with pytest.raises(SourceError, match="leads out"):
            source.delete(path)


def test_a_link_is_moved_by_its_content(source: SFTPSource, sshd: OpenSSHServer, data: Path) -> None:
    (data / "real.txt").write_bytes(b"content")
    (data / "a.csv").symlink_to("real.txt")
    [file] = source.list("*.csv")

    path = source.move(file, "done/a.csv")

    assert (data / path).read_bytes() == b"content"
    assert not (data / path).is_symlink()
    assert sorted(each.name for each in data.iterdir()) == ["done", "real.txt"]


def test_denied_access_is_told_and_moves_nothing(source: SFTPSource, sshd: OpenSSHServer, data: Path) -> None:
    (data / "a.csv").write_bytes(b"1")
    [file] = source.list()
    (data / "a.csv").chmod(0)
    (data / "locked").mkdir(mode=0o700)
    if os.geteuid() != 0:
        (data / "locked").chmod(0)
    data.chmod(0o555)
    if os.geteuid() == 0:
        for path in (data, data / "a.csv"):
            os.chown(path, 0, 0)

    with pytest.raises(SourceError, match=r"Can't open .*a\.csv: the server denies access"):
        source.open(file)
    with pytest.raises(SourceError, match=r"Can't list .*locked.*denies access"):
        list(source.list("**"))
    with pytest.raises(SourceError, match="denies access"):
        source.write("b.csv", b"1")
    with pytest.raises(SourceError, match="denies access"):
        source.move(file, "b.csv")
    access = {each.name: each for each in source.check()}
    (data / "locked").chmod(0o700)
    data.chmod(0o755)

    assert not access["readable"].is_given
    assert not access["writable"].is_given
    assert "denies access" in access["writable"].detail
    assert [each.name for each in data.iterdir() if each.name != "locked"] == ["a.csv"]


def test_a_folder_that_is_not_there_is_told(source: SFTPSource, sshd: OpenSSHServer, data: Path) -> None:
    (data / "file").write_bytes(b"")
    for name, message in (("nothing", "isn't there"), ("file", "is no folder")):
        with connect(sshd, sshd.url(data / name)) as other, pytest.raises(SourceError, match=message):
            other.list()


# Writing


class Once(io.RawIOBase):
    """Content that can be read only once, as what comes from a network; calls back on its way."""

    def __init__(self, content: bytes, at_half: Any = lambda: None) -> None:
        self._inner = io.BytesIO(content)
        self._half = len(content) // 2
        self._at_half = at_half

    def read(self, size: int = -1, /) -> bytes:
        if self._inner.tell() < self._half <= self._inner.tell() + size:
            self._at_half()
        return self._inner.read(size)


class Again(Once):
    """Content that can be read again from its start."""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._inner.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._inner.seek(offset, whence)


def test_content_that_can_be_read_again_is_sent_again_when_the_connection_breaks(
    sshd: OpenSSHServer, data: Path, proxy: Proxy
) -> None:
    cuts = iter([True, True])
    content = Again(CONTENT, lambda: proxy.cut() if next(cuts, False) else 0)

    with through(proxy, sshd) as source:
        written = source.write("out/big.csv", content)  # type: ignore[arg-type]

    assert (data / "out" / "big.csv").read_bytes() == CONTENT
    assert written.size == len(CONTENT)
    assert [each.name for each in (data / "out").iterdir()] == ["big.csv"]
    assert proxy.accepted == 3


def test_content_that_can_be_read_once_is_not_there_at_all_when_the_connection_broke(
    sshd: OpenSSHServer, data: Path, proxy: Proxy
) -> None:
    with through(proxy, sshd) as source:
        with pytest.raises(SourceUnavailableError, match=r"Can't write .*big\.csv"):
            source.write("big.csv", Once(CONTENT, proxy.cut))  # type: ignore[arg-type]
        assert list(source.list("**")) == []
        assert source.stat("big.csv") is None

    assert list(data.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("operation", ["rename", "posix_rename"])
def test_an_answer_that_was_lost_makes_no_difference(
    source: SFTPSource, data: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool, operation: str
) -> None:
    """The server renames, and the connection breaks before it can say so."""
    real = getattr(asyncssh.SFTPClient, operation)
    lost = iter([True])

    async def rename(self: Any, *arguments: Any) -> None:
        await real(self, *arguments)
        if next(lost, False):
            raise asyncssh.SFTPConnectionLost("cut by the test")

    monkeypatch.setattr(asyncssh.SFTPClient, operation, rename)
    source._link._max_attempts = 2

    written = source.write("a.csv", b"content", overwrite=overwrite)
    lost = iter([True])
    path = source.move(written, "done/a.csv")

    assert path == "done/a.csv"
    assert [file.path for file in source.list("**")] == ["done/a.csv"]
    assert [each.name for each in data.iterdir()] == ["done"]


def test_a_version_that_comes_in_the_instant_of_a_move_keeps_its_name(
    source: SFTPSource, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = source.write("a.csv", b"one")
    real = asyncssh.SFTPClient.rename

    async def rename(self: Any, *arguments: Any) -> None:
        monkeypatch.setattr(asyncssh.SFTPClient, "rename", real)
        (data / "a.csv").write_bytes(b"newer")
        await real(self, *arguments)

    monkeypatch.setattr(asyncssh.SFTPClient, "rename", rename)

    with pytest.raises(FileChangedError):
        source.move(listed, "done/a.csv")

    assert (data / "a.csv").read_bytes() == b"newer"
    assert list((data / "done").iterdir()) == []


def test_a_failed_replacement_on_a_server_without_posix_rename_leaves_the_former_file(
    plain_server: PasswordServer, plain_source: SFTPSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_source.write("replaced/former.csv", b"former")
    real = asyncssh.SFTPClient.rename

    async def rename(self: Any, old: bytes, new: bytes, *flags: Any) -> None:
        if new.endswith(b"former.csv") and old.count(b"former.csv") == 1 and rename_fails.pop():
            raise asyncssh.SFTPFailure("the disk had a hiccup")
        await real(self, old, new, *flags)

    rename_fails = [False, True]
    monkeypatch.setattr(asyncssh.SFTPClient, "rename", rename)

    with pytest.raises(SourceError, match="hiccup"):
        plain_source.write("replaced/former.csv", b"newer", overwrite=True)

    found = {path.name: path.read_bytes() for path in (plain_server.data / "in box" / "replaced").iterdir()}
    assert found == {"former.csv": b"former"}


@pytest.fixture
def small_disk(sshd: OpenSSHServer, data: Path) -> Iterator[Path]:
    """A file system of its own below the folder that is served, with room for 256 KiB."""
    folder = data / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "none", folder], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_nothing_is_left_of_the_file(source: SFTPSource, small_disk: Path) -> None:
    file = source.write("big.csv", CONTENT)

    for put in (
        lambda: source.write("small/big.csv", CONTENT),
        lambda: source.move(file, "small/big.csv"),
        lambda: source.copy(file, "small/big.csv"),
    ):
        with pytest.raises(SourceError, match="disk is full"):
            put()

    assert list(small_disk.iterdir()) == []
    assert content_of(source, file) == CONTENT


def test_a_file_is_moved_to_another_file_system_with_its_time(
    source: SFTPSource, data: Path, small_disk: Path
) -> None:
    (data / "a.csv").write_bytes(b"content")
    os.utime(data / "a.csv", (1, 1_600_000_000))
    [file] = source.list()

    path = source.move(file, "small/a.csv")
    again = source.move(file, "small/a.csv")

    assert (path, again) == ("small/a.csv", "small/a.csv")
    assert [each.name for each in data.iterdir()] == ["small"]
    assert [(each.path, each.last_modified) for each in source.list("**")] == [(path, file.last_modified)]


# Many at once


def test_threads_that_hold_a_file_open_write_and_move_over_a_single_connection(
    sshd: OpenSSHServer, big: Path, proxy: Proxy
) -> None:
    """The connection that a read holds is the very one that a write needs."""
    with through(proxy, sshd, connections=1) as source, ThreadPoolExecutor(16) as pool:
        [file] = source.list()

        def pass_on(number: int) -> bytes:
            with source.open(file) as stream:
                first = stream.read(10)
                written = source.write(f"{number}.csv", stream)
                moved = source.move(written, f"done/{number}.csv")
            return first + (big.parent / moved).read_bytes()

        contents = list(pool.map(pass_on, range(16), timeout=60))

    assert all(content == CONTENT for content in contents)
    assert proxy.accepted == 1


def test_no_more_connections_are_made_than_allowed_and_fewer_where_the_server_allows_fewer(
    sshd: OpenSSHServer, big: Path, proxy: Proxy
) -> None:
    def open_six(source: SFTPSource) -> None:
        [file] = source.list()
        with ThreadPoolExecutor(6) as pool:
            streams = list(pool.map(source.open, [file] * 6))
        for stream in streams:
            assert stream.read() == CONTENT
            stream.close()

    with through(proxy, sshd, connections=3) as source:
        open_six(source)
    allowed = proxy.accepted
    with through(proxy, sshd, connections=3) as source:
        list(source.list())
        proxy._do(proxy._stop_listening)
        open_six(source)

    assert allowed == 3
    assert proxy.accepted == 4


def test_a_reader_that_nobody_closed_gives_its_place_back(source: SFTPSource, big: Path) -> None:
    [file] = source.list()
    source.open(file).read(10)
    gc.collect()

    deadline = time.monotonic() + 30
    while any(slot.users for slot in source._link._slots) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert [slot.users for slot in source._link._slots] == [0, 0, 0, 0]


def test_many_files_in_a_folder_are_listed_in_order(source: SFTPSource, data: Path) -> None:
    names = [f"{number:05}.csv" for number in range(3_000)]
    for name in reversed(names):
        (data / name).touch()

    assert [file.path for file in source.list("*.csv")] == names
