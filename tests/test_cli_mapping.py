"""`fc-connect schema` and `fc-connect mapping` as a person or a script meets them."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import graphql
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from fc_connect.cli import schema_options
from fc_connect.cli.main import cli, main
from fc_connect.clock import ManualClock
from fc_connect.errors import FCConnectError, ParseError
from fc_connect.mapping import GraphQLMutationMapper, read_schema_file, schema_file_text
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.fluent_server import FluentServer, Reply

README = Path(__file__).parents[1] / "README.md"
ANSWER = {"data": graphql.introspection_from_schema(graphql.build_schema("type Query { a: Int }"))}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("FLUENT_CLIENT_ID", "FLUENT_CLIENT_SECRET", "FLUENT_USERNAME", "FLUENT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fc(*arguments: str) -> Result:
    """Run a command in this process; its exit code is what the command returned, an error of ours its text."""
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    if isinstance(result.exception, FCConnectError):
        return result
    if result.exception is not None and result.exc_info is not None and result.exit_code == 1:
        raise result.exception
    result.exit_code = int(result.return_value or 0)
    return result


# schema fetch


def test_a_fetched_schema_is_valid_and_says_where_from(folder: Path, sandbox: Sandbox) -> None:
    fetched = fc("schema", "fetch", "--endpoint", sandbox.url)
    validated = fc("schema", "validate", "schema.graphql", "--json")

    described = json.loads(validated.output)
    counted = f"{described['types']} types, {described['inputs']} of them inputs"
    assert fetched.output.startswith(f"wrote schema.graphql: {counted}")
    assert described["types"] > described["inputs"] > 20
    assert (described["valid"], described["fetchedFrom"]) == (True, sandbox.url)
    assert 0 <= described["ageSeconds"] < 60


def test_a_schema_is_fetched_as_json_where_the_name_says_so(folder: Path, sandbox: Sandbox) -> None:
    fc("schema", "fetch", "--endpoint", sandbox.url, "--output", "kept/schema.json")

    assert "__schema" in json.loads((folder / "kept" / "schema.json").read_text())["data"]


def test_a_schema_goes_to_standard_output_on_request(folder: Path, sandbox: Sandbox) -> None:
    fetched = fc("schema", "fetch", "--endpoint", sandbox.url, "--output", "-")

    assert "input CreateOrderInput {" in fetched.output
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=403, path="/graphql"),
        Fault(kind=FaultKind.EMPTY, path="/graphql"),
        Fault(kind=FaultKind.NOT_JSON, path="/graphql"),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fetch_that_fails_leaves_the_file_as_it_was(folder: Path, sandbox: Sandbox, fault: Fault) -> None:
    (folder / "schema.graphql").write_text("type Query { a: Int }")
    sandbox.inject(fault)

    fetched = fc("schema", "fetch", "--endpoint", sandbox.url)

    sandbox.clear_faults()
    assert isinstance(fetched.exception, FCConnectError)
    assert (folder / "schema.graphql").read_text() == "type Query { a: Int }"
    assert [each.name for each in folder.iterdir()] == ["schema.graphql"]


def test_a_fetch_needs_one_account(folder: Path, sandbox: Sandbox) -> None:
    none = fc("schema", "fetch")
    two = fc("schema", "fetch", "--endpoint", sandbox.url, "--profile", "HMDEV")

    assert "none is given" in str(none.exception)
    assert "--profile and --endpoint are given" in str(two.exception)


def test_a_schema_is_fetched_from_the_account_of_a_pipeline(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fc("init", ".")
    monkeypatch.setenv("FLUENT_BASE_URL", sandbox.url)

    fetched = fc("schema", "fetch", "--pipeline", "pipeline.yaml")

    assert f"from {sandbox.url}" in fetched.output


def test_a_schema_is_fetched_from_the_account_of_a_profile(folder: Path, sandbox: Sandbox) -> None:
    profile = folder / "profiles" / "HMDEV"
    profile.mkdir(parents=True)
    (profile / "profile.json").write_text(
        json.dumps({"baseUrl": sandbox.url, "id": "ACME", "clientSecret": "s3cret", "user": "robot"})
    )
    (profile / "user.robot.json").write_text(json.dumps({"username": "robot", "password": "pass"}))

    fetched = fc("schema", "fetch", "--profile", "HMDEV", "--profile-dir", "profiles")

    assert f"from {sandbox.url}" in fetched.output
    assert "s3cret" not in (folder / "schema.graphql").read_text()


def test_a_real_account_is_not_asked_with_a_made_up_login(folder: Path) -> None:
    fetched = fc("schema", "fetch", "--endpoint", "https://acme.api.example.com")

    assert "client_id" in str(fetched.exception)


# schema validate


def test_rules_that_a_schema_breaks_are_told_and_it_is_used_all_the_same(folder: Path) -> None:
    # As an account of Fluent's does: the rule is younger than its server.
    (folder / "odd.graphql").write_text(
        "interface N { id: ID } type Query implements N { id: ID @deprecated a: Int } "
        "input I { a: Int! } type Mutation { m(i: I): N }"
    )
    (folder / "good.graphql").write_text("{ a }")
    validate = ("schema", "validate", "odd.graphql", "--document", "good.graphql")

    validated, strictly = fc(*validate), fc(*validate, "--strict")
    new = fc("mapping", "new", "-s", "odd.graphql", "--mutation", "m", "-o", "m.json")

    assert (validated.exit_code, strictly.exit_code) == (0, 1)
    assert "! Interface field N.id is not deprecated" in validated.output
    assert new.exit_code == 0
    schema = read_schema_file(folder / "odd.graphql").schema
    assert GraphQLMutationMapper(written(folder, "m.json"), schema=schema).query


def test_documents_are_checked_against_the_schema(folder: Path) -> None:
    (folder / "s.graphql").write_text("type Query { a: Int }")
    (folder / "good.graphql").write_text("{ a }")
    (folder / "bad.graphql").write_text("{ b }")

    good = fc("schema", "validate", "s.graphql", "--document", "good.graphql")
    bad = fc("schema", "validate", "s.graphql", "--document", "good.graphql", "--document", "bad.graphql")

    assert good.exit_code == 0
    assert bad.exit_code == 1
    assert "bad.graphql: line 1, column 3" in bad.output


def test_an_empty_schema_is_never_valid(folder: Path) -> None:
    (folder / "empty.json").write_text('{"data": {"__schema": {"types": []}}}')

    validated = fc("schema", "validate", "empty.json")

    assert "no introspection" in str(validated.exception)


# The cache


def origin(
    url: str | None, path: Path | None, max_age: timedelta | None = None
) -> schema_options.SchemaOrigin:
    return schema_options.SchemaOrigin(endpoint=url, file=path, max_age=max_age)


def test_a_schema_is_fetched_once_a_day_or_as_often_as_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(datetime(2026, 1, 15, tzinfo=UTC))
    monkeypatch.setattr(schema_options, "SystemClock", lambda: clock)
    path = folder / "schema.graphql"
    with FluentServer() as server:
        server.replies += [Reply(body=ANSWER)] * 9

        def asked(max_age: timedelta | None = None, *, after: timedelta = timedelta(0)) -> int:
            clock.advance(after)
            before = len(server.calls("/graphql"))
            assert origin(server.url, path, max_age).load() is not None
            return len(server.calls("/graphql")) - before

        assert asked() == 1
        assert asked(after=timedelta(hours=23)) == 0
        assert asked(after=timedelta(hours=2)) == 1
        assert asked(timedelta(minutes=5), after=timedelta(minutes=4)) == 0
        assert asked(timedelta(minutes=5), after=timedelta(minutes=2)) == 1


def test_a_file_alone_is_used_at_any_age_unless_asked_for_less(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(datetime(2026, 1, 15, tzinfo=UTC))
    monkeypatch.setattr(schema_options, "SystemClock", lambda: clock)
    path = folder / "schema.graphql"
    path.write_text(schema_file_text(ANSWER["data"], fetched_at=clock.now(), fetched_from="x"))
    clock.advance(timedelta(days=400))

    assert origin(None, path).load() is not None
    with pytest.raises(FCConnectError, match="asks for less"):
        origin(None, path, timedelta(days=399)).load()


def test_a_file_of_another_account_is_fetched_anew(folder: Path) -> None:
    path = folder / "schema.graphql"
    with FluentServer() as one, FluentServer() as other:
        one.replies.append(Reply(body=ANSWER))
        other.replies.append(Reply(body=ANSWER))
        origin(one.url, path).load()

        kept = origin(other.url, path).load()

        assert kept is not None
        assert kept.fetched_from == other.url


def test_a_file_of_unknown_age_is_no_younger_than_asked(folder: Path) -> None:
    path = folder / "schema.graphql"
    path.write_text("type Query { a: Int }")

    with pytest.raises(FCConnectError, match="doesn't say when"):
        origin(None, path, timedelta(days=365)).load()


# mapping new

STOCK = "SKU,Warehouse,Qty On Hand,Colour\n0012,W1,5,red\n0013,W2,7,\n"
SDL = """
input Line { sku: String! qty: Int! }
input CreateThingInput { ref: String! total: Float lines: [Line!]! }
type Thing { ref: String total: Float }
type Query { thing: Thing }
type Mutation { createThing(input: CreateThingInput!): Thing }
"""
THINGS = '[{"ref": "T1", "total": 1.5, "lines": [{"sku": "A", "qty": 1}]}]'


def written(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


@pytest.fixture
def things(folder: Path) -> Path:
    (folder / "things.json").write_text(THINGS)
    (folder / "schema.graphql").write_text(SDL)
    return folder


def test_a_stock_file_has_a_valid_mapping_in_two_commands(folder: Path) -> None:
    (folder / "stock.csv").write_text(STOCK)

    new = fc("mapping", "new", "--sample", "stock.csv", "--entity", "INVENTORY", "-o", "stock.mapping.json")
    validated = fc("mapping", "validate", "stock.mapping.json", "--sample", "stock.csv")

    assert "wrote stock.mapping.json: 3 fields filled in, 0 wait for your decision" in new.output
    assert "not read: Colour" in new.output
    assert validated.exit_code == 0
    assert "✓ stock.mapping.json: InventoryBatchEntity: 2 of 2 required" in validated.output


def test_a_mapping_for_an_input_type_is_valid_as_it_is_written(things: Path) -> None:
    new = fc(
        "mapping", "new", "--sample", "things.json", "-s", "schema.graphql", "--type", "CreateThingInput"
    )
    (things / "m.json").write_text(new.stdout)

    validated = fc("mapping", "validate", "m.json", "-s", "schema.graphql", "--strict")

    assert validated.exit_code == 0, validated.output
    assert json.loads(new.stdout)["fields"]["lines"]["isArray"] is True


def test_a_mapping_for_a_mutation_is_valid_as_it_is_written(things: Path) -> None:
    fc(
        *("mapping", "new", "--sample", "things.json", "--schema", "schema.graphql"),
        *("--mutation", "createThing", "--output", "m.yaml"),
    )

    validated = fc("mapping", "validate", "m.yaml", "--schema", "schema.graphql")

    assert (validated.exit_code, "4 of 4 required" in validated.output) == (0, True), validated.output


def test_a_mapping_for_a_query_is_valid_as_it_is_written(things: Path) -> None:
    (things / "q.graphql").write_text("{ thing { ref total } }")

    fc("mapping", "new", "--query", "q.graphql", "-s", "schema.graphql", "-o", "m.json")
    validated = fc("mapping", "validate", "m.json", "-s", "schema.graphql")

    assert validated.exit_code == 0
    assert "2 of 2" in validated.output


def test_a_file_that_is_there_is_kept(folder: Path) -> None:
    (folder / "stock.csv").write_text(STOCK)
    (folder / "m.json").write_text("{}")

    kept = fc("mapping", "new", "--sample", "stock.csv", "-o", "m.json")
    forced = fc("mapping", "new", "--sample", "stock.csv", "-o", "m.json", "--force")

    assert "Nothing was written" in str(kept.exception)
    assert forced.exit_code == 0
    assert written(folder, "m.json")["fields"]["qtyOnHand"]["resolver"] == "sdk.parseInt"


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("s.csv", "a;b\n1;x\n", {"a": "a", "b": "b"}),
        ("s.tsv", "a\tb\n1\tx\n", {"a": "a", "b": "b"}),
        ("s.ndjson", '\n{"a": 1, "b": {"c": 2}}\n', {"a": "a", "b": "b"}),
        ("s.json", '{"rows": [{"a": 1}]}', {"a": "a"}),
        ("s.xml", "<r><row id='1'><a>2</a></row><row id='2'/></r>", {"id": "@id", "a": "a"}),
    ],
)
def test_every_format_gives_a_mapping(folder: Path, name: str, content: str, fields: dict[str, str]) -> None:
    (folder / name).write_text(content)

    new = fc("mapping", "new", "--sample", name)

    found = json.loads(new.stdout)["fields"]
    assert {target: each["source"] for target, each in found.items()} == fields


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a target"),
        (["--entity", "INVENTORY", "--type", "X"], "can't be used together"),
        (["--type", "X"], "needs a schema"),
        (["--sample", "things.json", "-s", "schema.graphql"], "what of the schema is the target"),
        (["--mutation", "createThing"], "needs a schema"),
        (["--entity", "NOPE"], "Nothing is known"),
        (["--sample", "missing.csv"], "can't be read"),
        (["--sample", "what.bin"], "can't be told by its name"),
        (["--mutation", "x; touch hacked.graphql"], "can't be read"),
        (["--mutation", "createThing(x", "-s", "schema.graphql"], "no mutation"),
    ],
)
def test_what_mapping_new_can_not_use_is_told(things: Path, arguments: list[str], said: str) -> None:
    before = sorted(things.iterdir())

    new = CliRunner().invoke(cli, ["mapping", "new", *arguments], standalone_mode=False)

    assert said in str(new.exception)
    assert sorted(things.iterdir()) == before


# mapping validate


def put_mapping(folder: Path, name: str = "m.json", **fields: Any) -> None:
    good = {
        "ref": {"source": "ref", "required": True},
        "lines": {
            "source": "lines",
            "isArray": True,
            "required": True,
            "fields": {
                "sku": {"source": "sku", "required": True},
                "qty": {"source": "qty", "required": True, "resolver": "sdk.parseInt"},
            },
        },
    }
    content = {"metadata": {"type": "CreateThingInput"}, "sourceFormat": "json", "fields": {**good, **fields}}
    (folder / name).write_text(json.dumps(content))


def test_validation_gives_json_for_machines(things: Path) -> None:
    put_mapping(things)
    put_mapping(things, "bad.json", ttal={"source": "t"})

    (things / "things.json").unlink()
    validated = fc("mapping", "validate", "*.json", "-s", "schema.graphql", "--json")

    bad, good = json.loads(validated.stdout)
    assert validated.exit_code == 1
    assert (bad["file"], bad["valid"], [each["code"] for each in bad["errors"]]) == (
        "bad.json",
        False,
        ["UNKNOWN_FIELD"],
    )
    assert bad["errors"][0]["suggestions"] == ["total"]
    assert (good["file"], good["valid"], good["errors"]) == ("m.json", True, [])
    assert good["stats"] == {
        "totalFields": 5,
        "requiredFields": 4,
        "optionalFields": 1,
        "mappedFields": 4,
        "mappedRequired": 4,
        "mappedOptional": 0,
        "missingRequired": 0,
        "missingOptional": 1,
    }


def code_of(*arguments: str) -> int:
    """Return the exit code as a shell sees it."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_validation_ends_as_its_help_says(things: Path) -> None:
    put_mapping(things, "warned.json")
    put_mapping(things, "clean.json", total={"source": "t", "resolver": "sdk.parseFloat"})
    put_mapping(things, "bad.json", ref={"source": "TODO: which?"})
    check = ("mapping", "validate", "-s", "schema.graphql")

    assert code_of(*check, "warned.json", "clean.json") == 0
    assert code_of(*check, "bad.json") == 1
    assert code_of(*check, "warned.json", "bad.json", "--strict") == 1
    assert code_of(*check, "warned.json", "--strict") == 2
    assert code_of(*check, "clean.json", "--strict") == 0
    assert code_of(*check, "nothing.json") == 3
    assert code_of(*check, "nothing*.json") == 3
    assert code_of(*check, "clean.json", "--type", "Nothing") == 3
    assert code_of(*check, "clean.json", "--nonsense") == 3
    assert code_of(*check) == 3
    assert code_of("mapping", "validate", "-s", "nothing.graphql", "clean.json") == 3


def test_validation_tries_the_mapping_on_a_sample(things: Path) -> None:
    put_mapping(things, total={"source": "total", "resolver": "sdk.parseFloat"})
    check = ("mapping", "validate", "m.json", "-s", "schema.graphql", "--sample", "things.json", "--json")

    good = json.loads(fc(*check).stdout)[0]
    bad_record = json.dumps({"ref": "T2", "total": "x", "lines": [{"sku": "A", "qty": 1}]})
    (things / "things.json").write_text(THINGS.replace("]}]", f"]}}, {bad_record}]"))
    mixed = json.loads(fc(*check).stdout)[0]
    (things / "things.json").write_text(f"[{bad_record}]")
    bad = json.loads(fc(*check).stdout)[0]

    assert (good["sample"], good["valid"], good["warnings"]) == (
        {"records": 1, "rejected": 0, "misfits": 0},
        True,
        [],
    )
    assert (mixed["sample"]["rejected"], mixed["valid"]) == (1, True)
    assert mixed["warnings"][0]["message"] == (
        "1 of 2 records of the sample rejected: expected a number; first in record 2: 'x'"
    )
    assert (bad["valid"], [each["code"] for each in bad["errors"]]) == (False, ["SAMPLE_REJECTED"])


def test_entities_of_a_sample_that_the_target_would_refuse_are_errors(things: Path) -> None:
    put_mapping(things, ref={"source": "total", "required": True})

    validated = fc("mapping", "validate", "m.json", "-s", "schema.graphql", "--sample", "things.json")

    assert validated.exit_code == 1
    assert "1 of 1 sample records mapped" in validated.output
    assert "✗ ref: 1 of 1 records of the sample would be refused: expected text (String)" in validated.output


def test_variables_of_a_sample_are_checked_for_a_mutation(things: Path) -> None:
    new = ("mapping", "new", "--sample", "things.json", "-s", "schema.graphql", "--mutation", "createThing")
    fc(*new, "-o", "m.json")
    content = written(things, "m.json")
    content["arguments"]["input"]["ref"] = {"source": "total", "required": True}
    (things / "m.json").write_text(json.dumps(content))

    validated = fc("mapping", "validate", "m.json", "-s", "schema.graphql", "--sample", "things.json")

    assert "ref: 1 of 1 records of the sample would be refused: expected text (String)" in validated.output


def test_what_only_the_pipeline_gives_is_no_fault_of_the_mapping(things: Path) -> None:
    put_mapping(things, ref={"source": "$context.ref", "required": True})

    validated = fc("mapping", "validate", "m.json", "-s", "schema.graphql", "--sample", "things.json")

    assert validated.exit_code == 0, validated.output
    assert "the sample wasn't mapped: it reads $context" in validated.output


def test_a_schema_that_can_not_be_fetched_is_no_pass(things: Path) -> None:
    put_mapping(things)
    with FluentServer() as server:
        server.replies += [Reply(status=403, body={"errors": []})] * 9

        code = code_of("mapping", "validate", "m.json", "--endpoint", server.url)

    assert code == 3


def test_validation_uses_the_schema_of_an_account(things: Path, sandbox: Sandbox) -> None:
    fields = {"ref": {"source": "r", "required": True}}
    (things / "m.json").write_text(json.dumps({"fields": fields}))

    validated = fc(
        *("mapping", "validate", "m.json", "--type", "CreateInventoryCatalogueInput"),
        *("--endpoint", sandbox.url, "--schema", "cache.json"),
    )

    assert validated.exit_code == 1
    assert "✗ name: CreateInventoryCatalogueInput needs it (String!)" in validated.output
    assert (things / "cache.json").exists()


def test_resolvers_of_ones_own_are_known_by_their_file(things: Path) -> None:
    put_mapping(things, total={"source": "t", "resolver": "custom.total"})
    (things / "own.py").write_text("def total(value):\n    return 1.5\n")
    check = ("mapping", "validate", "m.json", "-s", "schema.graphql")

    assert "custom.total" in fc(*check).output
    assert fc(*check, "--resolvers", "own.py").exit_code == 0


@pytest.mark.parametrize("kind", ["universal", "mutation"])
def test_validation_loads_no_code_that_a_mapping_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    (folder / "planted.py").write_text("open('loaded', 'w').close()\ndef run(value):\n    return value\n")
    (folder / "s.json").write_text('[{"a": "1"}]')
    ref = {"source": "a", "resolver": "planted:run"}
    universal = {"fields": {"ref": ref}}
    mutation = {
        "version": "1.0",
        "mutation": "createThing",
        "sourceFormat": "json",
        "arguments": {"input": {"ref": ref}},
        "returnFields": ["id"],
    }
    (folder / "m.json").write_text(json.dumps(universal if kind == "universal" else mutation))

    validated = fc("mapping", "validate", "m.json", "--sample", "s.json")

    assert validated.exit_code == 1
    assert "planted:run isn't loaded" in validated.output
    assert not (folder / "loaded").exists()


def test_quiet_prints_errors_alone(things: Path) -> None:
    put_mapping(things)

    lines = fc("mapping", "validate", "m.json", "-s", "schema.graphql", "--quiet").output.splitlines()

    assert len(lines) == 1


# mapping coverage


def test_coverage_is_told_in_three_ways(things: Path) -> None:
    put_mapping(things)
    cover = ("mapping", "coverage", "m.json", "-s", "schema.graphql", "--show-missing")

    table = fc(*cover)
    markdown = fc(*cover, "--format", "markdown", "-o", "c.md")
    machine = json.loads(fc(*cover, "--format", "json").stdout)

    assert "all              5       4        1      80 %" in table.output
    assert "· optional  total: Float" in table.output
    assert markdown.exit_code == 0
    assert "| `total` | `Float` | no |  |" in (things / "c.md").read_text()
    assert (machine["file"], machine["coveragePercent"], machine["requiredCoveragePercent"]) == (
        "m.json",
        80,
        100,
    )


def test_coverage_ends_as_its_help_says(things: Path) -> None:
    put_mapping(things)
    cover = ("mapping", "coverage", "m.json", "-s", "schema.graphql")

    assert code_of(*cover, "--min-coverage", "80", "--min-required", "100") == 0
    assert code_of(*cover, "--min-coverage", "81") == 1
    assert code_of("mapping", "coverage", "m.json") == 2
    assert code_of(*cover, "--type", "Unknown") == 2
    assert code_of("mapping", "coverage", "nothing.json", "-s", "schema.graphql") == 2
    assert code_of(*cover, "--format", "pdf") == 2


def test_several_mappings_are_covered_side_by_side(things: Path) -> None:
    put_mapping(things)
    put_mapping(things, "n.json")

    machine = json.loads(
        fc("mapping", "coverage", "m.json", "n.json", "-s", "schema.graphql", "--format", "json").stdout
    )

    assert [each["file"] for each in machine] == ["m.json", "n.json"]


# mapping analyze


def test_an_analysis_is_told_in_three_ways(folder: Path) -> None:
    (folder / "stock.csv").write_text(STOCK)

    table = fc("mapping", "analyze", "stock.csv")
    markdown = fc("mapping", "analyze", "stock.csv", "--as", "markdown", "-o", "a.md")
    machine = json.loads(fc("mapping", "analyze", "stock.csv", "--json").stdout)

    assert "SKU          text of digits → sdk.toString" in table.output
    assert "keep as text: 2 have leading zeros" in table.output
    assert markdown.exit_code == 0
    assert "| `Qty On Hand` | text | 0 | whole number | `sdk.parseInt` |" in (folder / "a.md").read_text()
    assert (machine["records"], machine["hasMore"]) == (2, False)
    assert [each["path"] for each in machine["fields"]] == ["SKU", "Warehouse", "Qty On Hand", "Colour"]


def test_an_analysis_reads_so_many_records_and_no_more(folder: Path) -> None:
    (folder / "long.ndjson").write_text('{"a": 1}\n' * 50 + "broken\n")

    some = json.loads(fc("mapping", "analyze", "long.ndjson", "--records", "10", "--json").stdout)
    all_of_them = json.loads(fc("mapping", "analyze", "long.ndjson", "--json").stdout)

    assert (some["records"], some["hasMore"], some["badRecords"]) == (10, True, 0)
    assert (all_of_them["records"], all_of_them["hasMore"], all_of_them["badRecords"]) == (50, False, 1)


def test_records_are_taken_from_where_one_says(folder: Path) -> None:
    (folder / "o.json").write_text('{"head": [{"x": 1}], "orders": {"list": [{"a": 1}, {"a": 2}]}}')

    found = json.loads(fc("mapping", "analyze", "o.json", "--at", "orders.list", "--json").stdout)

    assert (found["records"], [each["path"] for each in found["fields"]]) == (2, ["a"])


def test_a_sample_is_read_as_a_run_reads_it_whatever_its_format(folder: Path) -> None:
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"sku;qty\n001;1\n002;2\n"))
    (folder / "a.json").write_text(
        '{"data": {"items": [{"sku": "001", "qty": 1}, {"sku": "002", "qty": 2}]}}'
    )
    (folder / "a.jsonl").write_text('{"sku": "001", "qty": 1}\n{"sku": "002", "qty": 2}\n')
    (folder / "a.xml").write_text("<s><i><sku>001</sku><qty>1</qty></i><i><sku>002</sku><qty>2</qty></i></s>")
    table = pyarrow.table({"sku": ["001", "002"], "qty": [1, 2]})
    pyarrow.parquet.write_table(table, folder / "a.parquet")

    found = [
        json.loads(fc("mapping", "analyze", path.name, "--json").stdout) for path in sorted(folder.iterdir())
    ]

    assert [each["format"] for each in found] == ["csv", "json", "ndjson", "parquet", "xml"]
    assert [each["recordsAt"] for each in found] == ["", "data.items", "", "", "s.i"]
    for each in found:
        assert (each["records"], each["badRecords"]) == (2, 0)
        assert [field["path"] for field in each["fields"]] == ["sku", "qty"]


def test_records_of_a_document_are_told_by_names_alone(folder: Path) -> None:
    (folder / "o.json").write_text("{}")

    found = fc("mapping", "analyze", "o.json", "--at", "a[0]")

    assert "--at a[0]: expected names with dots between them" in str(found.exception)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,a\n1,2\n", "same name"),
        ("a.csv", b"a,b\n", "no records"),
        ("a.csv", b"\xff\xfe\x00", "encoding|decoded|byte order|utf"),
        ("a.json", b"{", r"a\.json:1:1: the file ends within"),
        ("a.json", b"[" * 100_000, r"a\.json:1:2: more than 10,000 levels"),
        ("a.json", b'[{"a":' + b"[" * 1000 + b"]" * 1000 + b"}]", "nested deeper than 100 levels"),
        ("a.json", b"[1, 2]", "no records: record 1, line 1: is a number, not an object"),
        ("a.ndjson", b"x\ny\n", "no records: line 1: isn't JSON"),
        ("a.xml", b"<a", "isn't XML"),
        ("a.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entit|Entit|DOCTYPE"),
        ("a.parquet", b"PAR1", "isn't a Parquet file"),
        ("a.csv", gzip.compress(b"a,b\n1,2\n"), "packed with gzip"),
    ],
)
def test_a_source_that_can_not_be_read_is_told(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / name).write_bytes(content)

    found = CliRunner().invoke(cli, ["mapping", "analyze", name], standalone_mode=False)

    assert isinstance(found.exception, FCConnectError)
    assert re.search(said, str(found.exception)), found.exception


def test_a_sample_that_can_not_be_read_is_told_with_what_it_looks_like(folder: Path) -> None:
    (folder / "a.csv").write_bytes("name\nCafé\n".encode("cp1252"))

    found = fc("mapping", "analyze", "a.csv")

    assert isinstance(found.exception, ParseError)
    assert "it may be cp1252" in found.exception.__notes__[0]
    assert fc("mapping", "analyze", "a.csv", "--encoding", "cp1252").exit_code == 0


def test_what_a_file_holds_can_not_command_the_terminal(folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps([{"a\u001b[2Jb": "x\u009b]0;owned\u0007"}]))

    for arguments in (["analyze", "a.json"], ["analyze", "a.json", "--json"], ["new", "--sample", "a.json"]):
        assert not {"\u001b", "\u009b", "\u0007"} & set(fc("mapping", *arguments).output)


# preview --schema


def test_a_preview_checks_entities_against_the_schema(folder: Path, sandbox: Sandbox) -> None:
    fc("init", ".")
    fc("schema", "fetch", "--endpoint", sandbox.url)
    look = ("preview", "--rows", "2", "--schema", "schema.graphql")

    batch = fc(*look)
    position = fc(*look, "--type", "CreateInventoryPositionInput", "--json")

    assert batch.exit_code == 0, batch.output
    problems = [row["problems"] for row in json.loads(position.stdout)["rows"]]
    assert position.exit_code == 1
    assert "CreateInventoryPositionInput: catalogue: is missing" in problems[0][0]
    assert any("qty: CreateInventoryPositionInput has no field of that name" in each for each in problems[1])
    with pytest.raises(SystemExit):
        main([*look, "--type", "Nothing"])


# The documentation


def commands_of(text: str, *, title: str) -> list[list[str]]:
    """Return the commands in the shell blocks below a heading, as written."""
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [
        line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()
    ]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_a_newcomer_has_valid_mappings_by_the_readme_alone(folder: Path, sandbox: Sandbox) -> None:
    fc("init", ".")
    commands = commands_of(README.read_text(), title="A mapping in five minutes")

    codes = []
    for each in commands:
        given = [sandbox.url if word == "http://127.0.0.1:8480" else word for word in each]
        codes.append(fc(*given).exit_code)
    draft = written(folder, "position.mapping.json")
    open_fields = [name for name, each in draft["fields"].items() if "TODO" in json.dumps(each)]
    draft["fields"] |= {
        "ref": {"source": "sku", "required": True},
        "catalogue": {"value": {"ref": "DEFAULT:1"}},
        "type": {"value": "DEFAULT"},
    }
    (folder / "position.mapping.json").write_text(json.dumps(draft))

    assert codes == [0, 0, 0, 0, 0, 1, 0]  # the last but one lists what is left to decide
    assert open_fields == ["ref", "catalogue", "type"]
    assert fc("mapping", "validate", "position.mapping.json", "--schema", "schema.graphql").exit_code == 0
    previewed = fc("preview", "--schema", "schema.graphql", "--type", "CreateInventoryPositionInput")
    assert previewed.exit_code == 1  # of the pipeline's own mapping, which is for batches
    pipeline = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(pipeline.replace("inventory.mapping.json", "position.mapping.json"))
    previewed = fc("preview", "--schema", "schema.graphql", "--type", "CreateInventoryPositionInput")
    assert previewed.exit_code == 0, previewed.output


def test_the_stock_mapping_of_the_readme_delivers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fc("init", ".")
    for each in commands_of(README.read_text(), title="A mapping in five minutes")[:3]:
        fc(*each)
    pipeline = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(pipeline.replace("inventory.mapping.json", "stock.mapping.json"))

    with Sandbox(processing_time=timedelta(0)) as sandbox:
        monkeypatch.setenv("FLUENT_BASE_URL", sandbox.url)
        ran = fc("run")

        assert ran.exit_code == 0, ran.output
        assert len(sandbox.deliveries()) == 20


def test_every_command_of_the_page_is_there(folder: Path) -> None:
    page = (README.parent / "docs" / "schema-tools.md").read_text()

    for group, command in re.findall(r"fc-connect (schema|mapping) ([a-z]+)", page):
        assert command in getattr(cli.commands[group], "commands", {})


def test_the_example_of_the_page_runs(
    folder: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (README.parent / "docs" / "schema-tools.md").read_text()
    fc("schema", "fetch", "--endpoint", sandbox.url)

    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], {})

    assert "items[0].quantity expected a whole number (Int)" in capsys.readouterr().out
