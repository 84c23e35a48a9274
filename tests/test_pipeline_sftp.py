"""Files on an SFTP server into batches, as a pipeline file says it; with a connection that breaks again and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.proof.proxy import Proxy
from fc_connect.proof.toxics import Kind, LimitData
from fc_connect.sandbox import Sandbox
from tests.shop import Shop
from tests.sshd import OpenSSHServer, running

pytestmark = pytest.mark.service

MAPPING = {
    "fields": {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku", "required": True},
        "locationRef": {"source": "warehouse", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt"},
    }
}


@pytest.fixture
def sshd() -> Iterator[OpenSSHServer]:
    yield from running()


@pytest.fixture
def proxy(sshd: OpenSSHServer) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", sshd.port, seed=7) as proxy:
        yield proxy


@pytest.fixture
def shop(tmp_path: Path, sshd: OpenSSHServer, proxy: Proxy) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(
            tmp_path / "shop",
            sandbox,
            mapping=MAPPING,
            source={
                "url": proxy.url(sshd.url()),
                "pattern": "*.csv",
                "private_key": str(sshd.key),
                "host_key": [sshd.fingerprint],
                "connections": 1,
                "stall_timeout": "5s",
            },
            after={"success": "archive/"},
            target={"batch": {"entity_type": "INVENTORY", "action": "UPSERT"}},
        )


def test_files_are_delivered_once_and_archived_over_a_connection_that_breaks(
    shop: Shop, sshd: OpenSSHServer, proxy: Proxy
) -> None:
    for number in range(2):
        rows = "".join(f"SKU{n},W{number},{n},active\n" for n in range(5_000))
        (sshd.data / f"stock-{number}.csv").write_text(f"sku,warehouse,quantity,status\n{rows}")

    with proxy.toxic(LimitData(max_bytes=150_000, then=Kind.RESET), direction="downstream"):
        first = shop.run()
    second = shop.run()

    assert (first.success, first.files_processed, first.errors) == (True, 2, ())
    assert (second.success, second.files_processed, second.batches_sent) == (True, 0, 0)
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 10_000
    assert proxy.accepted > 2
    assert sorted(path.name for path in sshd.data.iterdir()) == ["archive"]
    archived = sorted(path.name for path in (sshd.data / "archive").iterdir())
    assert archived == [f"stock-{number}.csv{end}" for number in range(2) for end in ("", ".json")]


def test_a_server_with_another_key_is_told_with_its_fingerprint(shop: Shop, sshd: OpenSSHServer) -> None:
    shop.configure(source={**shop.settings["source"], "host_key": [f"SHA256:{'a' * 43}"]})

    result = shop.run()

    assert not result.success
    assert sshd.fingerprint in result.errors[0]
