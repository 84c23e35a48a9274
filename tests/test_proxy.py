"""The proxy forwards faithfully, hurts as it is told, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.proof.proxy import Direction, Proxy
from fc_connect.proof.toxics import (
    Bandwidth,
    Kind,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from tests.fuzz.effort import examples
from tests.servers import spare_port

MS = timedelta(milliseconds=1)


class Server:
    """Accepts, and does one thing with each connection on a thread of its own."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _run(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            self._serve(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for each in self._threads:
            each.join()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def send_all(connection: socket.socket, content: bytes) -> None:
    connection.sendall(content)
    connection.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[Proxy]:
    server = Server(serve)
    try:
        with Proxy("127.0.0.1", server.port, seed=1) as proxy:
            yield proxy
    finally:
        server.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(proxy.address, timeout=20)


@pytest.fixture
def echoing() -> Iterator[Proxy]:
    with serving(echo) as proxy:
        yield proxy


gentle = st.one_of(
    st.builds(
        Latency, delay=st.integers(0, 5).map(lambda n: n * MS), jitter=st.integers(0, 5).map(lambda n: n * MS)
    ),
    st.builds(Slicer, average_size=st.integers(300, 5000), size_variation=st.integers(0, 299)),
    st.builds(Bandwidth, bytes_per_second=st.integers(5_000_000, 50_000_000)),
    st.builds(SlowClose, delay=st.just(MS)),
)


@examples(25)
@given(
    there=st.binary(max_size=200_000),
    back=st.binary(max_size=200_000),
    toxics=st.lists(st.tuples(gentle, st.sampled_from(["upstream", "downstream"])), max_size=3),
)
def test_what_is_sent_arrives_whole_and_in_order_both_ways(
    there: bytes, back: bytes, toxics: list[tuple[Toxic, Direction]]
) -> None:
    arrived: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        sending = threading.Thread(target=send_all, args=(connection, back))
        sending.start()
        arrived.append(read_all(connection))
        sending.join()

    with serving(serve) as proxy:
        for toxic, direction in toxics:
            proxy.add(toxic, direction=direction)
        with connect(proxy) as client:
            sending = threading.Thread(target=send_all, args=(client, there))
            sending.start()
            received = read_all(client)
            sending.join()
            wait_for(lambda: bool(arrived))

    assert received == back
    assert arrived == [there]


def test_more_than_any_buffer_holds_passes_while_toxics_come_and_go(echoing: Proxy) -> None:
    content = os.urandom(1 << 20) * 8
    with connect(echoing) as client:
        sending = threading.Thread(target=send_all, args=(client, content))
        received = bytearray()
        sending.start()
        while data := client.recv(1 << 16):
            received += data
            if len(received) % 7 == 0:
                with echoing.toxic(Latency(delay=MS, jitter=MS), direction="upstream"):
                    received += client.recv(1 << 16)
        sending.join()

    assert bytes(received) == content
    assert echoing.passed["upstream"] == len(content)


def test_an_answer_to_a_half_closed_connection_arrives() -> None:
    def serve(connection: socket.socket) -> None:
        question = read_all(connection)  # ends only when the client has said all
        connection.sendall(question.upper())

    with serving(serve) as proxy, connect(proxy) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)

        assert read_all(client) == b"QUESTION"


def test_a_reset_by_the_server_arrives_as_a_reset() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(serve) as proxy, connect(proxy) as client:
        client.sendall(b"x")

        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_a_reset_by_the_client_reaches_the_server_after_what_it_had_sent() -> None:
    seen: list[bytes | str] = []

    def serve(connection: socket.socket) -> None:
        try:
            seen.append(connection.recv(100))
            seen.append(connection.recv(100))
        except ConnectionResetError:
            seen.append("reset")

    with serving(serve) as proxy:
        with connect(proxy) as client, proxy.toxic(Latency(delay=50 * MS), direction="upstream"):
            client.sendall(b"last words")
            while not proxy.accepted:
                time.sleep(0.001)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            time.sleep(0.1)
        wait_for(lambda: len(seen) == 2)

    assert seen[-1] == "reset"


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with (
        Proxy("127.0.0.1", spare_port()) as proxy,
        pytest.raises(ConnectionResetError),
        connect(proxy) as client,
    ):
        client.recv(1)


def test_latency_delays_a_stream_but_does_not_slow_it(echoing: Proxy) -> None:
    content = os.urandom(1 << 19)
    with connect(echoing) as client, echoing.toxic(Latency(delay=200 * MS), direction="downstream"):
        began = time.monotonic()
        client.sendall(content)
        first = client.recv(1)
        took = time.monotonic() - began
        rest = bytearray()
        while len(rest) < len(content) - 1:
            rest += client.recv(1 << 16)
        assert first + bytes(rest) == content

    assert took >= 0.2
    assert time.monotonic() - began < 2.0  # each of its 64 KiB pieces delayed by itself would take longer


def test_bandwidth_bounds_what_gets_through(echoing: Proxy) -> None:
    with connect(echoing) as client, echoing.toxic(Bandwidth(bytes_per_second=20_000), direction="upstream"):
        began = time.monotonic()
        client.sendall(bytes(10_000))
        client.shutdown(socket.SHUT_WR)

        assert len(read_all(client)) == 10_000
        assert time.monotonic() - began >= 0.49


def test_a_slicer_parts_what_was_sent_in_one_piece() -> None:
    sizes: list[int] = []

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            sizes.append(len(data))

    with serving(serve) as proxy:
        slicer = Slicer(average_size=10, size_variation=5, delay=2 * MS)
        with proxy.toxic(slicer, direction="upstream"), connect(proxy) as client:
            client.sendall(bytes(500))
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""

    assert sum(sizes) == 500
    assert len(sizes) > 20


def test_a_timeout_holds_what_is_sent_until_it_is_taken_back(echoing: Proxy) -> None:
    with connect(echoing) as client:
        remove = echoing.add(Timeout(), direction="downstream")
        client.sendall(b"held")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(20)

        remove()

        assert client.recv(10) == b"held"


def test_a_timeout_may_close_in_the_end(echoing: Proxy) -> None:
    with connect(echoing) as client, echoing.toxic(Timeout(close_after=50 * MS), direction="downstream"):
        client.sendall(b"never comes back")

        assert client.recv(10) == b""


@pytest.mark.parametrize("after", [0 * MS, 50 * MS])
def test_reset_peer_resets_both_ends(after: timedelta) -> None:
    seen: list[str] = []

    def serve(connection: socket.socket) -> None:
        try:
            connection.recv(10)
        except ConnectionResetError:
            seen.append("reset")

    with serving(serve) as proxy, connect(proxy) as client:
        wait_for(lambda: proxy.open_connections == 1)
        proxy.add(ResetPeer(after=after), direction="upstream")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        wait_for(lambda: bool(seen))


@pytest.mark.parametrize("size", [0, 1, 7, 9, 10])
def test_data_are_cut_after_exactly_so_many_bytes(echoing: Proxy, size: int) -> None:
    with connect(echoing) as client, echoing.toxic(LimitData(max_bytes=size), direction="downstream"):
        client.sendall(b"0123456789")

        assert read_all(client) == b"0123456789"[:size]


def test_a_limit_counts_from_its_addition_and_may_reset_or_stall(echoing: Proxy) -> None:
    with connect(echoing) as client:
        client.sendall(b"before")
        assert client.recv(10) == b"before"
        with echoing.toxic(LimitData(max_bytes=3, then=None), direction="downstream"):
            client.sendall(b"abcdef")
            assert client.recv(10) == b"abc"
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(10)
            client.settimeout(20)
        assert client.recv(10) == b"def"
        with echoing.toxic(LimitData(max_bytes=3, then=Kind.RESET), direction="downstream"):
            client.sendall(b"abcdef")
            assert client.recv(3) == b"abc"
            with pytest.raises(ConnectionResetError):
                client.recv(10)


def test_slow_close_delays_the_end_alone(echoing: Proxy) -> None:
    with connect(echoing) as client, echoing.toxic(SlowClose(delay=150 * MS), direction="downstream"):
        began = time.monotonic()
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(10) == b"x"
        assert client.recv(10) == b""
        assert time.monotonic() - began >= 0.15


def test_a_proxy_that_is_down_refuses_and_comes_back_on_its_port(echoing: Proxy) -> None:
    with connect(echoing) as client:
        wait_for(lambda: echoing.open_connections == 1)
        echoing.down()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connect(echoing)

        echoing.up()

        with connect(echoing) as again:
            again.sendall(b"x")
            assert again.recv(1) == b"x"


def test_cutting_ends_every_connection_and_counts_them(echoing: Proxy) -> None:
    with connect(echoing) as one, connect(echoing) as other:
        wait_for(lambda: echoing.open_connections == 2)

        assert echoing.cut() == 2

        for each in (one, other):
            with pytest.raises(ConnectionResetError):
                each.recv(1)


def test_a_seed_decides_which_connections_are_hit() -> None:
    def hit(seed: int) -> list[bool]:
        server = Server(echo)
        with Proxy("127.0.0.1", server.port, seed=seed) as proxy:
            proxy.add(LimitData(max_bytes=0), direction="downstream", toxicity=0.5)
            found = []
            for _ in range(16):
                with connect(proxy) as client:
                    client.sendall(b"x")
                    found.append(client.recv(1) == b"")
        server.close()
        return found

    assert hit(3) == hit(3)
    assert len(set(hit(3))) == 2
    assert hit(3) != hit(4)


def test_closing_leaves_no_thread_and_no_socket() -> None:
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    server = Server(echo)
    with Proxy("127.0.0.1", server.port) as proxy:
        proxy.add(Timeout(), direction="downstream")
        clients = [connect(proxy) for _ in range(5)]
        for each in clients:
            each.sendall(b"x")
        wait_for(lambda: proxy.passed["upstream"] == 5)
    for each in clients:
        with pytest.raises(ConnectionResetError):
            each.recv(1)
        each.close()
    server.close()

    proxy.close()
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0?namespace=x",
        "postgresql://user:p%40ss@127.0.0.1/db",
        "http://127.0.0.1:8080/data/?a=b#c",
        "nats://127.0.0.1/bucket",
    ],
)
def test_a_url_is_led_through_the_proxy_and_stays_the_same_otherwise(url: str) -> None:
    with Proxy.before(url) as proxy:
        through = proxy.url(url)

        host = f"127.0.0.1:{proxy.target[1]}"
        assert through.replace(f"127.0.0.1:{proxy.port}", host) == url.replace("127.0.0.1/", f"{host}/")
        assert f":{proxy.port}/" in through


def test_a_url_without_a_server_has_no_proxy() -> None:
    with pytest.raises(ValueError, match="sqlite"):
        Proxy.before("sqlite:///state.db")
