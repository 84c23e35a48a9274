"""Servers that several test files share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import (
    VERSIONS,
    DenoServer,
    DynamoDBServer,
    MissingServerError,
    NATSServer,
    PostgreSQLServer,
    RedisServer,
    missing,
)

# How long an example takes is the machine's affair: on a loaded one, a limit makes sound tests fail.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


class _Server(Protocol):
    def start(self) -> None: ...


Running = TypeVar("Running", bound=_Server)


def _start(name: str, make: Callable[[Path], Running], folders: pytest.TempPathFactory) -> Running:
    """Return a server of the session's own, started; where it can't be had, its tests skip or fail."""
    try:
        server = make(folders.mktemp(name.lower()))
        server.start()
    except MissingServerError as exc:
        missing(name, str(exc))
        raise
    return server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("FC_CONNECT_TEST_REDIS_URL"):
        yield url
        return
    server = _start("Redis", RedisServer, tmp_path_factory)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("FC_CONNECT_TEST_POSTGRES_URL"):
        yield url
        return
    server = _start("PostgreSQL", PostgreSQLServer, tmp_path_factory)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def deno_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DenoServer]:
    server = _start("Deno", DenoServer, tmp_path_factory)
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
    server = _start("NATS", NATSServer, tmp_path_factory)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def dynamodb_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = _start("DynamoDB", DynamoDBServer, tmp_path_factory)
    yield server.endpoint_url
    server.stop()


@pytest.fixture
def dynamodb_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a table of the test's own, which is made when it is opened."""
    if url := os.environ.get("FC_CONNECT_TEST_DYNAMODB_URL"):
        return f"{url}{'&' if '?' in url else '?'}namespace={uuid.uuid4().hex}"
    endpoint = request.getfixturevalue("dynamodb_endpoint")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    # Nobody keeps what moto holds; vouching for it lets the tests of pipelines demand every promise.
    return f"dynamodb://test-{uuid.uuid4().hex}?region=eu-west-1&endpoint_url={endpoint}&durable=yes"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a file's name that is no UTF-8 with escapes: workers send their reports as UTF-8."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections
    ]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over which servers a worker of pytest-xdist started: the summary is written elsewhere."""
    VERSIONS.update(getattr(node, "workeroutput", {}).get("versions", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["versions"] = VERSIONS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, version in sorted(VERSIONS.items()):
        terminalreporter.write_line(f"{name}: {version}")
