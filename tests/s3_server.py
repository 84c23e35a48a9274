"""A store that speaks S3's API, buckets in it, and a network before it that breaks."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from moto.server import ThreadedMotoServer

from fc_connect.sources import open_source
from fc_connect.sources.s3 import S3Source

SECRET = "wJalrXUtnFEMI/K7MDENG"


def running() -> Iterator[str]:
    """Yield the address of a server of one's own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # its line per request would bury a failure
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    yield endpoint
    client_of(endpoint).close()
    server.stop()


@cache  # to make one takes as long as many a test
def client_of(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="admin",
        aws_secret_access_key=SECRET,
    )


def bucket(endpoint: str, name: str = "inbox", *, versions: bool = False) -> Iterator[Any]:
    """Yield a client of an empty bucket, and empty it afterwards."""
    client = client_of(endpoint)
    client.create_bucket(Bucket=name)
    if versions:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    yield client
    while found := client.list_object_versions(Bucket=name):
        keys = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
        if not keys:
            break
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in keys]
        client.delete_objects(Bucket=name, Delete={"Objects": objects})
    client.delete_bucket(Bucket=name)


def connect(endpoint: str, url: str = "s3://inbox/data/", **options: Any) -> S3Source:
    settings = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET, "max_attempts": 1, **options}
    source = open_source(url, endpoint_url=endpoint, **settings)
    assert isinstance(source, S3Source)
    return source


class Proxy:
    """Forwards connections to the server; each ends after `cut_after` bytes of answer, `cuts` times.

    With `stalls`, such a connection stays open, and nothing comes any more.
    """

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "", address.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_closed = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_after = 1 << 60
        self.cuts = 0
        self.stalls = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                far = socket.create_connection(self._target)
                threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, origin: socket.socket, target: socket.socket, is_answer: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := origin.recv(65_536):
                if is_answer and self.cuts and passed + len(data) > self.cut_after:
                    self.cuts -= 1
                    target.sendall(data[: max(0, self.cut_after - passed)])
                    if self.stalls:
                        self._is_closed.wait()
                    break
                target.sendall(data)
                passed += len(data)
        for each in (origin, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._is_closed.set()
        self._listener.close()
