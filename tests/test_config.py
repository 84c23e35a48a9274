"""The pipeline file: what it may say, and what becomes of it."""

from __future__ import annotations

import json
import pickle
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes with moto
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.kv import open_kv
from fc_connect.pipeline.config import (
    PipelineConfig,
    RejectLimit,
    json_schema,
    load_config,
    parse_config,
)

MINIMAL: dict[str, Any] = {
    "pipeline": "inventory",
    "source": {"url": "in/"},
    "mapping": {"fields": {}},
    "target": {"batch": {}},
    "fluent": {"profile": "HMDEV", "retailer": "hm_test"},
}
ACCOUNT = {
    "base_url": "https://hm.sandbox.api.fluentretail.com",
    "client_id": "HMDEV",
    "client_secret": "s3cr3t-s3cr3t",
    "username": "user",
    "password": "pa55w0rd-pa55w0rd",
    "retailer_id": "1",
}
DESIGN = """
pipeline: inventory-ingestion
source: {url: "s3://inventory-bucket/data/", pattern: "*.csv", fingerprint: etag, min_age: 30s}
format: {type: csv, delimiter: ",", encoding: utf-8}
mapping: inventory.mapping.json
target:
  batch: {entity_type: INVENTORY, action: UPSERT, source: WMS, event: InventoryChanged, size: 1000, concurrency: 4}
job: daily
rejects: {max: 1%, to: rejects/}
after: {success: archive/, failure: errors/}
fluent: {profile: HMDEV, retailer: hm_test}
order: time
duplicates: last
state: sqlite:///fc-connect.db
lease: {timeout: 15m}
"""


def parse(
    base_dir: Path | None = None, environ: dict[str, str] | None = None, **changes: Any
) -> PipelineConfig:
    return parse_config({**MINIMAL, **changes}, base_dir=base_dir, environ=environ or {})


def problems(
    base_dir: Path | None = None, environ: dict[str, str] | None = None, **changes: Any
) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(base_dir, environ, **changes)
    return [each.removeprefix("pipeline: ") for each in caught.value.problems]


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(DESIGN)
    (tmp_path / "inventory.mapping.json").write_text("{}")

    config = load_config(tmp_path / "p.yaml")

    assert config.source.min_age == timedelta(seconds=30)
    assert config.rejects.max == RejectLimit(ratio=0.01)
    assert config.mapping == tmp_path / "inventory.mapping.json"
    assert config.target.batch.source == "WMS"
    assert config.lease.timeout == timedelta(minutes=15)


def test_the_same_settings_in_yaml_json_and_toml_are_equal(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "pipeline: x\nsource: {url: in, min_age: 1h30m}\nmapping: {fields: {a: {value: 1}}}\n"
        "target: {batch: {size: 5}}\nfluent: {profile: P, retailer: r}\nvalidate: whole\nkey: [a, b]\n"
    )
    (tmp_path / "p.json").write_text(
        '{"pipeline": "x", "source": {"url": "in", "min_age": "1h30m"}, "mapping": {"fields": {"a": {"value": 1}}},'
        ' "target": {"batch": {"size": 5}}, "fluent": {"profile": "P", "retailer": "r"}, "validate": "whole",'
        ' "key": ["a", "b"]}'
    )
    (tmp_path / "p.toml").write_text(
        'pipeline = "x"\nvalidate = "whole"\nkey = ["a", "b"]\n[source]\nurl = "in"\nmin_age = "1h30m"\n'
        '[mapping.fields.a]\nvalue = 1\n[target.batch]\nsize = 5\n[fluent]\nprofile = "P"\nretailer = "r"\n'
    )

    configs = [load_config(tmp_path / f"p.{suffix}") for suffix in ("yaml", "json", "toml")]

    assert configs[0] == configs[1] == configs[2]
    assert configs[0].key == ("a", "b")


def test_what_is_left_out_has_safe_defaults(tmp_path: Path) -> None:
    config = parse(tmp_path)

    assert (config.order, config.duplicates, config.on_failure) == ("time", "last", "supersede")
    assert (config.validation, config.job) == ("whole", "daily")
    assert config.rejects.max == RejectLimit(count=0)
    assert (config.confirm.wait, config.confirm.on_reject) == (True, "report")
    assert config.target.batch.event == "InventoryChanged"
    assert config.key == ("locationRef", "skuRef|productRef", "type")


def test_relative_paths_start_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "m.json").write_text("{}")
    text = json.dumps({**MINIMAL, "mapping": "m.json", "rejects": {"to": "bad"}, "spool": "spool"})
    (folder / "p.json").write_text(text)
    monkeypatch.chdir(tmp_path)

    config = load_config("conf/p.json")

    assert config.base_dir == folder
    assert config.mapping == folder / "m.json"
    assert config.rejects_path == folder / "bad"
    assert config.spool_path == folder / "spool"
    assert config.state_url == f"sqlite:///{folder}/fc-connect.db"


def test_rejects_and_spool_lie_beside_the_file_by_default(tmp_path: Path) -> None:
    config = parse(tmp_path)

    assert config.rejects_path == tmp_path / "rejects"
    assert config.spool_path == tmp_path / ".fc-connect" / "spool"


@pytest.mark.parametrize("name", ["plain", "with space", "100%", "a?b", "a#b", "ü"])
def test_the_state_is_opened_in_the_folder_of_the_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()

    with open_kv(parse(folder).state_url) as kv:
        kv.set(("k",), 1)

    assert (folder / "fc-connect.db").exists()


@pytest.mark.parametrize(
    "url", ["sqlite:////var/lib/x.db", "memory:", "redis://u:p@h/0", "postgresql://h/db"]
)
def test_a_complete_address_of_the_state_is_left_alone(tmp_path: Path, url: str) -> None:
    assert parse(tmp_path, state=url).state_url == url


def test_a_config_outlives_a_process_boundary(tmp_path: Path) -> None:
    config = parse(tmp_path, fluent=ACCOUNT)

    copy = pickle.loads(pickle.dumps(config))

    assert copy == config
    assert copy.base_dir == tmp_path


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("PT15M", 900),
        ("P1DT2H", 93600),
        ("P1W", 604800),
        ("PT0.25S", 0.25),
    ],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert parse(lookback=text).lookback == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "wrong", ["15", "m", "P", "PT", "P1M", "-5s", "5 parsecs", "1h-5m", "", True, None, []]
)
def test_what_is_no_duration_is_refused(wrong: object) -> None:
    (problem,) = problems(lookback=wrong)

    assert problem.startswith("lookback: expected a duration such as")


def test_a_bare_number_is_refused_with_the_unit_it_may_want() -> None:
    assert problems(lookback=30) == [
        'lookback: expected a duration with its unit, got the bare number 30: write "30s"'
    ]


def test_a_duration_beyond_reason_is_refused() -> None:
    assert "less than a million days" in problems(lookback="9" * 30 + "d")[0]


@pytest.mark.parametrize(("timeout", "is_right"), [("3s", True), ("2999ms", False)])
def test_a_lease_lasts_at_least_three_seconds(timeout: str, is_right: bool) -> None:
    if is_right:
        assert parse(lease={"timeout": timeout}).lease.timeout == timedelta(seconds=3)
    else:
        assert problems(lease={"timeout": timeout}) == ["lease.timeout: expected at least 3s, got '2999ms'"]


# Rejects


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (0, RejectLimit(count=0)),
        (10, RejectLimit(count=10)),
        ("10", RejectLimit(count=10)),
        ("1%", RejectLimit(ratio=0.01)),
        ("0.5 %", RejectLimit(ratio=0.005)),
        ("100%", RejectLimit(ratio=1.0)),
    ],
)
def test_rejects_are_limited_by_count_or_share(value: object, limit: RejectLimit) -> None:
    assert parse(rejects={"max": value}).rejects.max == limit


@pytest.mark.parametrize("value", [-1, 0.01, "101%", "-1%", "%", "NaN%", "few", True, None])
def test_what_is_no_limit_is_refused(value: object) -> None:
    (problem,) = problems(rejects={"max": value})

    assert problem.startswith("rejects.max: expected a ")


@given(st.integers(0, 1000), st.integers(0, 10**7))
def test_exactly_the_share_that_is_allowed_is_not_too_much(per_mille: int, thousands: int) -> None:
    """As floats 29 % of 100 is less than 29, and a file would fail for nothing."""
    limit = parse(rejects={"max": f"{per_mille / 10}%"}).rejects.max
    allowed = per_mille * thousands

    assert not limit.exceeded(allowed, 1000 * thousands)
    assert limit.exceeded(allowed + 1, 1000 * thousands)


def test_by_default_one_reject_is_too_many() -> None:
    limit = parse().rejects.max

    assert not limit.exceeded(0, 10)
    assert limit.exceeded(1, 1_000_000)


@pytest.mark.parametrize("text", ["0", "25", "1%", "0.5%", "100%"])
def test_a_limit_is_shown_as_it_is_written(text: str) -> None:
    assert str(parse(rejects={"max": text}).rejects.max) == text


# Fluent


def test_an_account_is_a_profile_or_an_address_with_credentials() -> None:
    assert parse(fluent={"profile": "P", "retailer_id": "2"}).fluent.retailer_id == "2"
    assert parse(fluent=ACCOUNT).fluent.username == "user"


def test_without_a_user_client_credentials_are_used() -> None:
    without = {k: v for k, v in ACCOUNT.items() if k not in {"username", "password"}}

    assert parse(fluent=without).fluent.username is None


@pytest.mark.parametrize(
    ("fluent", "keys"),
    [
        ({}, ["profile"]),
        ({"profile": "P"}, ["retailer"]),
        ({"profile": "P", "retailer": "r", "retailer_id": "1"}, ["retailer_id"]),
        (
            {"profile": "P", "retailer": "r", "base_url": "https://h", "password": "x"},
            ["base_url", "password"],
        ),
        ({"base_url": "https://h"}, ["client_id", "client_secret", "retailer_id"]),
        ({**ACCOUNT, "password": None}, ["password"]),
        ({**ACCOUNT, "username": None}, ["username"]),
        ({**ACCOUNT, "retailer": "r", "profile_dir": "d"}, ["profile_dir", "retailer"]),
        ({**ACCOUNT, "base_url": "ftp://h"}, ["base_url"]),
        ({**ACCOUNT, "base_url": "https://u:p@h"}, ["base_url"]),
        ({**ACCOUNT, "retailer_id": 1}, ["retailer_id"]),
        ({**ACCOUNT, "max_attempts": 0, "timeout": "0s"}, ["timeout", "max_attempts"]),
    ],
)
def test_every_fault_of_an_account_is_told(fluent: dict[str, Any], keys: list[str]) -> None:
    found = problems(fluent=fluent)

    assert [each.split(":")[0] for each in found] == [f"fluent.{key}" for key in keys]


# Rules between keys, and values


def test_streaming_needs_duplicates_to_be_kept() -> None:
    (problem,) = problems(validate="streaming")

    assert problem.startswith("validate: streaming can't find duplicates")
    assert parse(validate="streaming", duplicates="keep").validation == "streaming"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pipeline": ".."}, "pipeline: expected a name of 1 to 100 letters"),
        ({"pipeline": "a/b"}, "pipeline: expected a name of 1 to 100 letters"),
        ({"pipeline": "x" * 101}, "pipeline: expected a name of 1 to 100 letters"),
        ({"pipeline": "x\n"}, "pipeline: expected a name of 1 to 100 letters"),
        ({"target": {}}, "target.batch: is required"),
        ({"target": {"batch": {"size": 0}}}, "target.batch.size: expected at least 1, got 0"),
        ({"target": {"batch": {"size": 5001}}}, "target.batch.size: expected at most 5,000, got 5001"),
        ({"target": {"batch": {"size": True}}}, "target.batch.size: expected a whole number, got true"),
        ({"target": {"batch": {"size": 1.5}}}, "target.batch.size: expected a whole number, got 1.5"),
        ({"target": {"batch": {"concurrency": 65}}}, "target.batch.concurrency: expected at most 64"),
        (
            {"target": {"batch": {"entity_type": "STOCK"}}},
            "target.batch.entity_type: expected one of INVENTORY",
        ),
        ({"target": {"batch": {"action": ""}}}, "target.batch.action: expected capital letters"),
        ({"format": {"delimiter": ""}}, "format.delimiter: expected one character"),
        ({"format": {"delimiter": '"'}}, "format.delimiter: is the same as quotechar"),
        ({"format": {"encoding": "utf-9"}}, "format.encoding: expected an encoding that Python knows"),
        ({"format": {"columns": []}}, "format.columns: expected at least one item"),
        ({"format": {"columns": ["a", "b", "a"]}}, "format.columns: names a column twice: a"),
        (
            {"format": {"type": "xls"}},
            "format.type: expected one of csv, json, ndjson, xml, parquet, got 'xls'",
        ),
        (
            {"format": {"type": "ndjsn"}},
            "format.type: expected one of csv, json, ndjson, xml, parquet, got 'ndjsn' (did you mean 'ndjson'?)",
        ),
        ({"format": {"type": "xml"}}, "format.records: is required: Path of the elements that are records"),
        ({"format": {"type": "json", "delimiter": ";"}}, "format.delimiter: there is no such key"),
        (
            {"format": {"type": "json", "max_dept": 3}},
            "format.max_dept: there is no such key (did you mean 'max_depth'?)",
        ),
        ({"format": {"type": "json", "max_depth": 0}}, "format.max_depth: expected at least 1"),
        (
            {"format": {"type": "xml", "records": "a", "namespaces": "drop"}},
            "format.namespaces: expected keep, strip, or prefixes",
        ),
        ({"after": {"success": "../x"}}, "after.success: expected a folder below the source's root"),
        ({"after": {"success": "/x"}}, "after.success: expected a folder below the source's root"),
        ({"after": {"failure": "."}}, "after.failure: expected a folder below the source's root"),
        ({"mapping": "none.json"}, "mapping: there is no file /"),
        ({"mapping": {1: 2}}, "mapping: expected text as keys"),
        (
            {"fluent": {**ACCOUNT, "base_url": "https://h:99999"}},
            "fluent.base_url: names a port that isn't one",
        ),
        ({"source": None}, "source: expected a mapping of keys to values, got nothing"),
        (
            {"target": {"batch": {"conditions": {"a": float("nan")}}}},
            "target.batch.conditions.a: expected a number",
        ),
        ({"mapping": 5}, "mapping: expected the path of a mapping file"),
        ({"resolvers": "none.py"}, "resolvers: there is no file /"),
        ({"resolvers": "not a module"}, 'resolvers: expected "module:attribute"'),
        ({"state": "fc.db"}, "state: expected sqlite:///path"),
        ({"state": "sqlite://fc.db"}, "state: names no file"),
        ({"key": []}, "key: expected at least one item"),
        ({"key": "ref"}, "key: expected a list, got 'ref'"),
        ({"source": {"url": ""}}, "source.url: is empty"),
        ({"source": {"url": "sftp://u:p4ss@h/"}}, "source.url: holds a password"),
        ({"source": {"url": "s3://b/", "access_key_id": "a"}}, "source.secret_access_key: is missing"),
        ({"source": {"url": "s3://b/", "path_style": 1}}, "source.path_style: expected true or false"),
        ({"rejects": {"to": "s3://b/x"}}, "rejects.to: expected a path on this machine"),
        ({"confirm": {"timeout": "0s"}}, "confirm.timeout: expected more than 0s"),
        ({"validation": "whole"}, "validation: there is no such key (did you mean 'validate'?)"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    (found,) = problems(tmp_path, **changes)

    assert found.startswith(problem)


def test_the_folder_of_the_file_cannot_be_set_in_it() -> None:
    with pytest.raises(ConfigurationError, match="base_dir: there is no such key"):
        parse_config({**MINIMAL, "base_dir": "/"})


def test_the_callers_mapping_is_not_shared() -> None:
    mapping = {"fields": {"ref": {"source": "sku"}}}
    config = parse(mapping=mapping)

    mapping["fields"].clear()

    assert config.mapping == {"fields": {"ref": {"source": "sku"}}}


# Schema


def test_the_published_schema_is_current() -> None:
    """Made anew by: .venv/bin/python -m tests.test_config"""
    published = (Path(__file__).parents[1] / "docs" / "pipeline.schema.json").read_text("utf-8")

    assert json.loads(published) == json_schema()


def test_every_key_of_the_schema_is_described() -> None:
    schema = json_schema()
    models = [schema, *schema["$defs"].values()]

    missing = [
        f"{model['title']}.{key}"
        for model in models
        for key, field in model["properties"].items()
        if "description" not in field and "$ref" not in field
    ]

    assert missing == []


def documentation() -> str:
    return (Path(__file__).parents[1] / "docs" / "pipeline-file.md").read_text("utf-8")


def test_every_key_is_in_the_documentation() -> None:
    text = documentation()
    schema = json_schema()

    keys = [key for model in (schema, *schema["$defs"].values()) for key in model["properties"]]

    named = re.compile(r"`(?:\w+\.)?(\w+)`").findall(text)
    headings = re.findall(r"\w+", " ".join(re.findall(r"^### (.+)$", text, re.MULTILINE)))
    assert set(keys) - {*named, *headings} == set()


def test_the_documented_file_is_right_for_us_and_for_editors(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.+?)```", documentation(), re.DOTALL)
    assert example is not None
    (tmp_path / "inventory.mapping.json").write_text("{}")
    (tmp_path / "p.yaml").write_text(example[1])

    config = load_config(tmp_path / "p.yaml", environ={})

    assert config.pipeline == "inventory-ingestion"
    jsonschema.validate(yaml.safe_load(example[1]), json_schema())


if __name__ == "__main__":
    target = Path(__file__).parents[1] / "docs" / "pipeline.schema.json"
    target.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
