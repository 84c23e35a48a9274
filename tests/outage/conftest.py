"""The servers of the outage tests, each behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.proof.proxy import Proxy
from fc_connect.sandbox import Sandbox
from tests.servers import MissingServerError, missing
from tests.stores import PROXIED, Remote, Server


@pytest.fixture(scope="session", params=list(PROXIED))
def remote(request: pytest.FixtureRequest) -> Remote:
    return PROXIED[request.param]


@pytest.fixture(scope="session")
def server(remote: Remote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        running = remote.make(tmp_path_factory.mktemp("outage"))
        running.start()
    except MissingServerError as exc:
        missing("A server", str(exc))
        return
    yield running
    running.stop()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy.before(server.url, seed=1) as running:
        yield running


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"
