"""SFTP: the suite of all sources against real servers, and what only a server far away can do wrong."""

from __future__ import annotations

import io
import logging
import os
import pickle
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncssh
import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, FileChangedError, SourceError, SourceUnavailableError
from fc_connect.proof.proxy import Proxy
from fc_connect.proof.toxics import Kind, LimitData, SlowClose, Timeout
from fc_connect.sources import Source, open_source
from fc_connect.sources.sftp import SFTPSource
from fc_connect.testing.source import SourceConformance, content_of
from tests.servers import MissingServerError, missing, spare_port
from tests.sshd import OpenSSHServer, PasswordServer

CONTENT = b"".join(b"%07d,a record of some length\n" % number for number in range(100_000))


@pytest.fixture(scope="module")
def sshd() -> Iterator[OpenSSHServer]:
    try:
        server = OpenSSHServer()
        server.start()
    except MissingServerError as exc:
        missing("OpenSSH", str(exc))
        raise
    yield server
    server.remove()


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
