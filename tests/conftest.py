"""Servers that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.servers import (
    VERSIONS,
    DenoServer,
    MissingServerError,
    NATSServer,
    PostgreSQLServer,
    RedisServer,
    missing,
)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("FC_CONNECT_TEST_REDIS_URL"):
        yield url
        return
    try:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
        server.start()
    except MissingServerError as exc:
        missing("Redis", str(exc))
        return
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("FC_CONNECT_TEST_POSTGRES_URL"):
        yield url
        return
    try:
        server = PostgreSQLServer(tmp_path_factory.mktemp("postgres"))
        server.start()
    except MissingServerError as exc:
        missing("PostgreSQL", str(exc))
        return
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def deno_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DenoServer]:
    try:
        server = DenoServer(tmp_path_factory.mktemp("deno"))
        server.start()
    except MissingServerError as exc:
        missing("Deno", str(exc))
        return
    yield server
    server.remove()


@pytest.fixture(scope="session")
def deno_url(deno_server: DenoServer) -> str:
    return deno_server.url


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("FC_CONNECT_TEST_NATS_URL"):
        yield url
        return
    try:
        server = NATSServer(tmp_path_factory.mktemp("nats"))
        server.start()
    except MissingServerError as exc:
        missing("NATS", str(exc))
        return
    yield server.url
    server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, version in sorted(VERSIONS.items()):
        terminalreporter.write_line(f"{name}: {version}")
