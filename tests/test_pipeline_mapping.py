"""A pipeline and its mapping: tables, context, compat mode, and what a preview shows of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.mapping import UniversalMapper, explain
from fc_connect.pipeline import Pipeline
from fc_connect.sandbox import Sandbox
from tests.shop import MAPPING, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path, sandbox)


def with_location(**field: Any) -> dict[str, Any]:
    return {"fields": {**MAPPING["fields"], "locationRef": {"source": "warehouse", **field}}}


def test_a_table_of_the_state_store_is_looked_up(shop: Shop) -> None:
    shop.configure(mapping=with_location(lookup={"kv": "stores"}), rejects={"max": 1})
    (shop.folder / "stores.csv").write_text("code,ref\nW1,LOC_1\n")
    shop.put("a.csv", [("S1", "W1", 1, ""), ("S2", "W9", 2, "")])

    with pytest.raises(ConfigurationError, match="fc-connect state table stores --from"):
        shop.run()
    told = shop.command("state", "table", "stores", "--from", str(shop.folder / "stores.csv"))
    result = shop.run()

    assert told == "stores: 1 rows\n"
    assert shop.command("state", "table") == "stores: 1 rows\n"
    assert shop.command("state", "table", "stores") == "W1\tLOC_1\n"
    assert result.success
    assert list(shop.deliveries()) == [("LOC_1", "S1", "LAST_ON_HAND")]
    [rejected] = (
        json.loads(line) for line in Path(str(result.files[0].rejects_file)).read_text().splitlines()
    )
    assert rejected["reason"] == "expected a value that the table 'stores' in the state store knows"


def test_the_context_of_the_pipeline_file_reaches_the_mapping(shop: Shop) -> None:
    shop.configure(mapping=with_location(source="$context.store"), context={"store": "W7"})
    shop.put("a.csv", [("S1", "W1", 1, "")])

    assert shop.run().success
    assert list(shop.deliveries()) == [("W7", "S1", "LAST_ON_HAND")]


def test_with_compat_a_bad_number_is_zero_as_in_the_original(shop: Shop) -> None:
    shop.configure(mapping={"compat": True, **MAPPING})
    shop.put("a.csv", [("S1", "W1", "n/a", "A")])

    assert shop.run().success
    [delivery] = shop.sandbox.log.entities()
    assert delivery.qty == 0


def test_a_mapping_file_finds_its_table_beside_it(shop: Shop) -> None:
    mappings = shop.folder / "mappings"
    mappings.mkdir()
    (mappings / "stores.csv").write_text("code,ref\nW1,LOC_1\n")
    (mappings / "m.json").write_text(json.dumps(with_location(lookup={"file": "stores.csv"})))
    shop.configure(mapping="mappings/m.json")
    shop.put("a.csv", [("S1", "W1", 1, "")])

    assert shop.run().success
    assert list(shop.deliveries()) == [("LOC_1", "S1", "LAST_ON_HAND")]


def test_a_preview_tells_how_each_field_came_to_its_value(shop: Shop) -> None:
    shop.put("a.csv", [("S1", "W1", "12abc", "")])

    [row] = Pipeline.from_file(shop.pipeline_file).preview().rows

    fields = {each.field: each for each in row.fields}
    assert row.entity is None
    assert (fields["ref"].source, fields["ref"].found, fields["ref"].value) == ("sku", "S1", "S1")
    assert (fields["status"].found, fields["status"].value) == ("", "ACTIVE")
    assert fields["qty"].resolvers == ("sdk.parseInt",)
    assert (fields["qty"].outcome, fields["qty"].reason) == ("rejected", "expected a whole number")


def test_a_preview_says_where_a_file_looks_other_than_configured(shop: Shop) -> None:
    (shop.inbox / "a.csv").write_bytes("sku;warehouse;quantity;status\nCafé;W1;1;A\n".encode("cp1252"))

    with pytest.raises(ConfigurationError) as caught:
        Pipeline.from_file(shop.pipeline_file).preview()

    assert [note.partition(": set ")[2] for note in caught.value.__notes__] == [
        "`format.encoding: cp1252`.",
        '`format.delimiter: ";"`.',
    ]


def test_a_check_says_what_a_file_looks_like_that_lacks_the_columns(shop: Shop) -> None:
    shop.put("a.csv", "sku;warehouse;quantity;status\nS1;W1;1;A\n")

    [source] = [each for each in Pipeline.from_file(shop.pipeline_file).check() if each.name == "source"]

    assert not source.is_ok
    assert source.detail.endswith('set `format.delimiter: ";"`.')


def test_a_preview_of_a_file_as_configured_has_no_hints(shop: Shop) -> None:
    shop.put("a.csv", [("S1", "W1", 1, "A")])

    assert Pipeline.from_file(shop.pipeline_file).preview().hints == ()


def test_a_preview_goes_into_objects_and_lists() -> None:
    mapper = UniversalMapper(
        {
            "fields": {
                "customer": {"source": "c", "fields": {"name": {"source": "n"}}},
                "lines": {"source": "l", "isArray": True, "fields": {"sku": {"source": "s"}}},
                "gone": {"source": "g", "fields": {"x": {"source": "y"}}},
            }
        }
    ).mapper

    traces = explain(mapper, {"c": {"n": "Ann"}, "l": [{"s": "A"}, {"s": "B"}]})

    assert [(each.field, each.value, each.outcome) for each in traces] == [
        ("customer.name", "Ann", "set"),
        ("lines[0].sku", "A", "set"),
        ("gone", None, "absent"),
    ]


def test_a_mapping_file_names_no_code_that_the_pipeline_file_does_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "shop_rules.py").write_text("def store(value):\n    return 'LOC_' + value\n")
    monkeypatch.syspath_prepend(str(shop.folder))
    shop.configure(mapping=with_location(resolver="shop_rules:store"))
    shop.put("a.csv", [("S1", "W1", 1, "")])

    refused = shop.run()
    shop.configure(resolvers="shop_rules")
    result = shop.run()

    assert not refused.success
    assert "write `resolvers: shop_rules` there" in "; ".join(refused.errors)
    assert result.success
    assert list(shop.deliveries()) == [("LOC_W1", "S1", "LAST_ON_HAND")]
