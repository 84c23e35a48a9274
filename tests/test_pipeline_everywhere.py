"""The same pipeline on every kind of source and every format, each killed half-way and started again."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect.formats import open_writer
from fc_connect.pipeline import Pipeline
from fc_connect.proof.victim import PRELOAD, Blow, run
from fc_connect.sandbox import Sandbox
from tests import s3_server
from tests import sshd as sshd_server
from tests.shop import Shop
from tests.sshd import OpenSSHServer

pytestmark = [pytest.mark.service, pytest.mark.crash]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(PRELOAD)

ACCESS = {"access_key_id": "testing", "secret_access_key": "testing-secret", "region": "us-east-1"}
ROWS = 25
BAD = 7
"""Which record has no sku."""

Records = list[dict[str, Any]]


def stock(warehouse: str) -> Records:
    return [
        {"sku": None if number == BAD else f"00{number}", "warehouse": warehouse, "quantity": number}
        for number in range(1, ROWS + 1)
    ]


def as_csv(records: Records) -> bytes:
    stream = io.BytesIO()
    with open_writer("csv", columns=["sku", "warehouse", "quantity"]).write(stream) as writer:
        for each in records:
            writer.write(each)
    return gzip.compress(stream.getvalue(), mtime=0)


def as_json(records: Records) -> bytes:
    return json.dumps({"data": {"rows": records}, "count": len(records)}).encode()


def as_xml(records: Records) -> bytes:
    stream = io.BytesIO()
    with open_writer("xml", root="stock", record="item").write(stream) as writer:
        for each in records:
            writer.write({"@warehouse": each["warehouse"], "sku": each["sku"], "quantity": each["quantity"]})
    return stream.getvalue()


def as_parquet(records: Records) -> bytes:
    stream = io.BytesIO()
    schema = {"sku": "string", "warehouse": "string", "quantity": "int64"}
    with open_writer("parquet", schema=schema, row_group_rows=10).write(stream) as writer:
        for each in records:
            writer.write(each)
    return stream.getvalue()


FORMATS: dict[str, tuple[str, Callable[[Records], bytes], dict[str, Any]]] = {
    "csv": ("csv.gz", as_csv, {"type": "csv"}),
    "json": ("json", as_json, {"type": "json", "records": "$.data.rows[*]"}),
    "xml": ("xml", as_xml, {"type": "xml", "records": "stock/item"}),
    "parquet": ("parquet", as_parquet, {"type": "parquet"}),
}
# Another step for each run: between them they die at every stage of a file's way.
STRUCK = [
    ("source.read", 1),
    ("file.planned", 2),
    ("send.intended", 2),
    ("send.answered", 3),
    ("http.sent", 4),
    ("confirm.told", 1),
    ("state.completed", 1),
    ("file.moved", 1),
    ("file.told", 2),
    ("spool.renamed", 1),
    ("send.answered", 4),
    ("state.put-away", 1),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from s3_server.running()


@pytest.fixture(scope="module")
def sshd() -> Iterator[OpenSSHServer]:
    yield from sshd_server.running()


@pytest.fixture(params=["local", "s3", "sftp"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Return a source of its own, as a pipeline file says it."""
    if request.param == "local":
        return {"url": (tmp_path / "local").as_uri()}
    if request.param == "s3":
        endpoint = request.getfixturevalue("endpoint")
        bucket = f"bucket-{abs(hash(request.node.name)) % 10**9}"
        s3_server.client_of(endpoint).create_bucket(Bucket=bucket)
        return {"url": f"s3://{bucket}/stock/", "endpoint_url": endpoint, "path_style": True, **ACCESS}
    server = request.getfixturevalue("sshd")
    folder = server.data / f"stock-{abs(hash(request.node.name)) % 10**9}"
    folder.mkdir()
    server.own(folder)
    return {
        "url": server.url(folder),
        "private_key": str(server.key),
        "known_hosts": str(server.known_hosts),
    }


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_run_that_was_killed_half_way_delivers_each_record_once(
    tmp_path: Path, source: dict[str, Any], format_name: str, request: pytest.FixtureRequest
) -> None:
    suffix, write, described = FORMATS[format_name]
    kind = request.node.callspec.params["source"]
    number = ["local", "s3", "sftp"].index(kind) * len(FORMATS) + list(FORMATS).index(format_name)
    warehouse = "@warehouse" if format_name == "xml" else "warehouse"
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        shop = Shop(
            tmp_path / "shop",
            sandbox,
            source={**source, "pattern": f"*.{suffix}"},
            format=described,
            mapping={
                "fields": {
                    "ref": {"source": "sku", "required": True},
                    "productRef": {"source": "sku"},
                    "locationRef": {"source": warehouse, "required": True},
                    "qty": {"source": "quantity", "resolver": "sdk.parseInt", "required": True},
                    "type": {"value": "LAST_ON_HAND"},
                }
            },
            rejects={"max": 1},
            after={"success": "done/{yyyy}"},
            lease={"timeout": "3s"},
        )
        if kind == "local":
            (tmp_path / "local").mkdir()
        with Pipeline.from_file(shop.pipeline_file).open_source() as place:
            for each in ("W1", "W2"):
                place.write(f"{each}.{suffix}", write(stock(each)))
        point, hit = STRUCK[number]

        died = _processes.Process(
            target=run,
            args=(shop.pipeline_file,),
            kwargs={
                "blow": Blow(point=point, hit=hit),
                "counts_to": None,
                "is_stranger": False,
                "sabotage": None,
            },
        )
        died.start()
        died.join(60)
        result = shop.pipeline().run(wait=True)
        again = shop.run()

        assert died.exitcode == -signal.SIGKILL, (shop.folder / "output.txt").read_text()
        assert result.success, result.errors
        assert (again.files_processed, again.batches_sent) == (0, 0)
        assert set(shop.deliveries().values()) == {1}
        assert len(shop.deliveries()) == 2 * (ROWS - 1)
        assert {level.qty for (*_, sku, _), level in sandbox.stock().items() if sku == "0025"} == {25}
        with Pipeline.from_file(shop.pipeline_file).open_source() as place:
            left = [each.path.rpartition("/")[2] for each in place.list("**")]
        assert sorted(left) == [
            name for each in ("W1", "W2") for name in (f"{each}.{suffix}", f"{each}.{suffix}.json")
        ]
        rejects = [
            json.loads(line)
            for file in (shop.folder / "rejects").glob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        assert {(each["file"], each["line"] == BAD + 1 or each["number"] == BAD) for each in rejects} == {
            (f"{each}.{suffix}", True) for each in ("W1", "W2")
        }
