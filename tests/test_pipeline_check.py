from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fc_connect.cli.main import cli
from fc_connect.pipeline import Check, Pipeline
from fc_connect.sandbox import Sandbox
from tests.fluent_server import SECRET, FluentServer, Reply
from tests.shop import Shop

ME = {
    "id": "7",
    "username": "robot",
    "type": "API",
    "status": "ACTIVE",
    "roles": [
        {"role": {"name": "LOADER", "permissions": [{"name": "A"}, {"name": "B"}]}},
        {"role": {"name": "VIEWER", "permissions": [{"name": "B"}]}},
    ],
    "primaryRetailer": {"id": "1", "tradingName": "Shoes"},
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path / "shop", sandbox)


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def checked(shop: Shop, **options: Any) -> dict[str, Check]:
    return {each.name: each for each in Pipeline.from_file(shop.pipeline_file).check(**options)}


def account(server: FluentServer, **settings: Any) -> dict[str, Any]:
    return {
        "base_url": server.url,
        "client_id": "tests",
        "client_secret": SECRET,
        "retailer_id": "1",
        "max_attempts": 1,
        **settings,
    }


def test_each_thing_that_a_run_needs_is_told(shop: Shop) -> None:
    shop.configure(after={"success": "archive/{yyyy}", "failure": "errors"})
    shop.stock("a.csv", warehouse="W1", rows=3)

    found = checked(shop)

    assert list(found) == [
        "mapping",
        "source",
        "archive",
        "entities",
        "folders",
        "state",
        "fluent",
        "user",
        "retailer",
    ]
    assert [each for each in found.values() if not each.is_ok] == []
    assert found["entities"].detail == "a.csv: its first 3 records can be sent"
    assert found["user"].detail == "sandbox-user (RETAILER); roles: ADMIN; 2 permissions"
    assert [path.name for path in shop.inbox.iterdir()] == ["a.csv"]
    assert not shop.sandbox.deliveries()


def test_one_that_fails_does_not_keep_the_others_from_being_told(shop: Shop) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        fluent = {**shop.settings["fluent"], "base_url": address, "max_attempts": 1}
        shop.configure(source={"url": "elsewhere", "pattern": "*.csv"}, fluent=fluent)

        found = checked(shop)

    assert [name for name, each in found.items() if not each.is_ok] == [
        "source",
        "entities",
        "fluent",
        "user",
        "retailer",
    ]
    assert found["entities"].detail == "not looked at: mend `source` first"
    assert "elsewhere" in found["source"].detail
    assert "Check base_url, the network" in found["fluent"].detail


def test_what_does_not_answer_in_time_is_told_and_the_rest_is_there(shop: Shop, server: FluentServer) -> None:
    server.replies += [Reply(mode="hang")]
    shop.configure(fluent=account(server))

    found = checked(shop, within=timedelta(seconds=1))

    assert found["state"].is_ok
    assert "no answer within 1 s" in found["fluent"].detail
    assert "no answer within 1 s" in found["retailer"].detail


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (
            [{"data": {"me": ME}}],
            {
                "user": (True, "robot (API); roles: LOADER, VIEWER; 2 permissions"),
                "retailer": (True, "1 (Shoes)"),
            },
        ),
        ([{"data": {"me": {**ME, "status": "INACTIVE"}}}], {"user": (False, "INACTIVE")}),
        (
            [{"data": {"me": None}}, {"data": {"retailerById": {"ref": "R"}}}],
            {"user": (False, "doesn't say who")},
        ),
        (
            [
                {"errors": [{"message": "Field 'roles' is undefined"}]},
                {"data": {"me": {"ref": "robot"}}},
                {"data": {"retailerById": {"ref": "R1"}}},
            ],
            {"user": (True, "robot; its roles can't be asked"), "retailer": (True, "1 (R1)")},
        ),
        (
            [{"data": {"me": {**ME, "primaryRetailer": {"id": "2"}}}}, {"data": {"retailerById": None}}],
            {"user": (True, "robot"), "retailer": (False, "Fluent knows no retailer 1")},
        ),
        (
            [{"data": {"me": {**ME, "primaryRetailer": None}}}, {"errors": [{"message": "no permission"}]}],
            {"retailer": (True, "can't be told")},
        ),
    ],
)
def test_the_user_and_the_retailer_are_asked_for(
    shop: Shop, server: FluentServer, replies: list[Any], expected: dict[str, tuple[bool, str]]
) -> None:
    server.replies += [Reply(body=body) for body in replies]
    shop.configure(fluent=account(server))

    found = checked(shop)

    assert found["fluent"].is_ok, found["fluent"].detail
    for name, (is_ok, detail) in expected.items():
        assert (found[name].is_ok, detail in found[name].detail) == (is_ok, True), found[name].detail


def test_a_refused_login_says_so_without_the_secret(shop: Shop, server: FluentServer) -> None:
    server.token_replies += [Reply(status=401, body={"error": "invalid_client", "error_description": SECRET})]
    shop.configure(fluent=account(server))

    done = CliRunner().invoke(cli, ["check", str(shop.pipeline_file), "--json"], standalone_mode=False)

    told = {each["name"]: each for each in json.loads(done.stdout)}
    assert (done.return_value, told["fluent"]["is_ok"]) == (1, False)
    assert "credentials" in told["fluent"]["detail"]
    assert SECRET not in done.output


def test_records_that_could_not_be_sent_are_told_before_they_are(shop: Shop) -> None:
    shop.put("a.csv", [("S1", "W1", 1, "A"), ("", "W1", 1, "A"), ("S3", "W1", 2**31, "A")])

    entities = checked(shop)["entities"]

    assert not entities.is_ok
    assert "of its first 3 records 2 can't be sent" in entities.detail
    assert "record 3: qty: is beyond the 32 bits" in entities.detail


def test_a_mapping_file_that_leaves_out_what_stock_needs_is_told(shop: Shop) -> None:
    (shop.folder / "stock.json").write_text(json.dumps({"fields": {"skuRef": {"source": "sku"}}}))
    shop.configure(mapping="stock.json")

    mapping = checked(shop)["mapping"]

    assert not mapping.is_ok
    assert "locationRef: InventoryBatchEntity needs it" in mapping.detail
    assert "qty: InventoryBatchEntity needs it" in mapping.detail


def test_a_file_in_the_place_of_a_folder_is_told(shop: Shop) -> None:
    (shop.folder / "rejects").write_text("")

    folders = checked(shop)["folders"]

    assert not folders.is_ok
    assert "isn't a folder" in folders.detail
