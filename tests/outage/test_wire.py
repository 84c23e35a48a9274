"""Fluent's answers and a bucket's files, cut, sliced, slowed and held on their way: each record arrives once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fc_connect.proof.proxy import Proxy
from fc_connect.proof.toxics import Bandwidth, Kind, Latency, LimitData, ResetPeer, Slicer, Timeout, Toxic
from fc_connect.sandbox import Sandbox
from tests.servers import spare_port
from tests.shop import Shop

pytestmark = [pytest.mark.service, pytest.mark.crash]

ROWS = 200
MS = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("toxic", "toxicity"),
    [
        (LimitData(max_bytes=150), 0.5),
        (LimitData(max_bytes=2500, then=Kind.RESET), 1.0),
        (LimitData(max_bytes=1700, then=None), 0.3),
        (Timeout(close_after=300 * MS), 0.3),
        (ResetPeer(after=100 * MS), 0.5),
        (Slicer(average_size=30, size_variation=20, delay=MS), 1.0),
        (Bandwidth(bytes_per_second=20_000), 1.0),
        (Latency(delay=30 * MS, jitter=30 * MS), 1.0),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_befalls_the_answers_of_fluent_repeats_and_loses_nothing(
    folder: Path, sandbox: Sandbox, toxic: Toxic, toxicity: float
) -> None:
    with Proxy.before(sandbox.url, seed=3) as proxy:
        shop = Shop(folder, sandbox)
        fluent = {**shop.settings["fluent"], "base_url": proxy.url(sandbox.url), "timeout": "2s"}
        shop.configure(fluent=fluent, confirm={"wait": False})
        shop.stock("a.csv", warehouse="W1", rows=ROWS)
        proxy.add(toxic, direction="downstream", toxicity=toxicity)

        for _ in range(4):
            result = shop.run()
            if result.success:
                break
        proxy.clear()
        result = shop.run()

    assert result.success, result.errors
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == ROWS


@pytest.fixture
def bucket() -> Iterator[tuple[str, Any]]:
    port = spare_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing-secret",
    )
    client.create_bucket(Bucket="outage")
    yield endpoint, client
    client.close()
    server.stop()


@pytest.mark.parametrize("then", [Kind.CLOSE, Kind.RESET])
def test_a_file_that_is_cut_on_its_way_is_never_taken_for_a_whole_one(
    folder: Path, sandbox: Sandbox, bucket: tuple[str, Any], then: Kind
) -> None:
    endpoint, client = bucket
    rows = "".join(f"SKU{n:05d},W1,{n},ACTIVE\n" for n in range(5000))
    body = f"sku,warehouse,quantity,status\n{rows}".encode()
    client.put_object(Bucket="outage", Key="data/a.csv", Body=body)
    with Proxy.before(endpoint, seed=2) as proxy:
        shop = Shop(
            folder,
            sandbox,
            target={"batch": {"size": 1000}},
            source={
                "url": "s3://outage/data/",
                "pattern": "*.csv",
                "endpoint_url": proxy.url(endpoint),
                "access_key_id": "testing",
                "secret_access_key": "testing-secret",
                "path_style": True,
            },
        )
        proxy.add(LimitData(max_bytes=30_000, then=then), direction="downstream")

        result = shop.run()
        proxy.clear()
        again = shop.run()

    assert again.success, again.errors
    assert result.success or "can't be reached" in result.errors[0] or "broke off" in result.errors[0]
    assert proxy.accepted > 3  # it was cut, and asked for the rest
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 5000
