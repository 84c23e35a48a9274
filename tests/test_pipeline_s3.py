"""The reference example as it is written: an S3 folder of CSV files into inventory batches of the daily job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect.sandbox import Sandbox
from tests import s3_server
from tests.s3_server import running
from tests.shop import Shop

pytestmark = pytest.mark.service

ACCESS = {"access_key_id": "testing", "secret_access_key": "testing-secret", "region": "us-east-1"}
MAPPING = {
    "fields": {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku", "required": True},
        "locationRef": {"source": "warehouse", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt"},
        "status": {"source": "status", "resolver": "sdk.uppercase"},
    }
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from running()


@pytest.fixture
def bucket(endpoint: str) -> Iterator[Any]:
    yield from s3_server.bucket(endpoint, "inventory-bucket")


@pytest.fixture
def shop(tmp_path: Path, endpoint: str) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        source = {
            "url": "s3://inventory-bucket/data/",
            "pattern": "*.csv",
            "endpoint_url": endpoint,
            **ACCESS,
        }
        yield Shop(
            tmp_path / "shop",
            sandbox,
            mapping=MAPPING,
            source={**source, "path_style": True},
            after={"success": "archive/"},
            job="daily",
            target={"batch": {"entity_type": "INVENTORY", "action": "UPSERT"}},
        )


def test_the_reference_example_works_as_written(shop: Shop, bucket: Any) -> None:
    for number in range(3):
        rows = "".join(f"SKU{n},W{number},{n},active\n" for n in range(20))
        body = f"sku,warehouse,quantity,status\n{rows}".encode()
        bucket.put_object(Bucket="inventory-bucket", Key=f"data/stock-{number}.csv", Body=body)
    bucket.put_object(Bucket="inventory-bucket", Key="data/readme.txt", Body=b"not stock")

    first, second = shop.run(), shop.run()

    assert (first.success, first.files_processed, first.files_skipped, first.errors) == (True, 3, 0, ())
    assert second.files_processed == 0
    assert second.batches_sent == 0
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 60
    assert len(shop.sandbox.jobs()) == 1
    keys = {item["Key"] for item in bucket.list_objects_v2(Bucket="inventory-bucket")["Contents"]}
    archived = [f"data/archive/stock-{number}.csv" for number in range(3)]
    assert keys == {"data/readme.txt", *archived, *(f"{each}.json" for each in archived)}


def test_a_missing_bucket_is_told(shop: Shop, bucket: Any) -> None:
    shop.configure(source={**shop.settings["source"], "url": "s3://no-such-bucket/data/"})

    result = shop.run()

    assert not result.success
    assert "no-such-bucket" in result.errors[0]
    assert "testing-secret" not in str(result)


def test_a_stock_that_is_uploaded_again_counts_again_where_versions_are_told(shop: Shop, bucket: Any) -> None:
    bucket.put_bucket_versioning(Bucket="inventory-bucket", VersioningConfiguration={"Status": "Enabled"})
    shop.configure(source={**shop.settings["source"], "versions": True})
    sent = []
    for quantity in (5, 0, 5):
        body = f"sku,warehouse,quantity,status\nSKU1,W1,{quantity},active\n".encode()
        bucket.put_object(Bucket="inventory-bucket", Key="data/stock.csv", Body=body)
        result = shop.run()
        sent.append((result.success, result.batches_sent))

    assert sent == [(True, 1)] * 3


def test_a_stock_that_is_uploaded_again_counts_again_where_no_versions_are_told(
    shop: Shop, bucket: Any
) -> None:
    sent = []
    for quantity in (5, 0, 5):
        body = f"sku,warehouse,quantity,status\nSKU1,W1,{quantity},active\n".encode()
        bucket.put_object(Bucket="inventory-bucket", Key="data/stock.csv", Body=body)
        result = shop.run()
        sent.append((result.success, result.batches_sent))
        time.sleep(1.1)  # a store tells the time of an upload in whole seconds

    again = shop.run()

    assert sent == [(True, 1)] * 3
    assert again.batches_sent == 0
    assert {level.qty for level in shop.sandbox.stock().values()} == {5}
