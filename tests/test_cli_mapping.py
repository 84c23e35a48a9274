"""`fc-connect schema` and `fc-connect mapping` as a person or a script meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import graphql
import pytest
from click.testing import CliRunner, Result

from fc_connect.cli import schema_options
from fc_connect.cli.main import cli
from fc_connect.clock import ManualClock
from fc_connect.errors import FCConnectError
from fc_connect.mapping import schema_file_text
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.fluent_server import FluentServer, Reply

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

    assert fetched.output.startswith("wrote schema.graphql: 109 types, 38 of them inputs")
    described = json.loads(validated.output)
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


def test_a_real_account_is_not_asked_with_a_made_up_login(folder: Path) -> None:
    fetched = fc("schema", "fetch", "--endpoint", "https://acme.api.example.com")

    assert "client_id" in str(fetched.exception)


# schema validate


def test_a_schema_that_breaks_the_rules_is_told(folder: Path) -> None:
    (folder / "odd.graphql").write_text("interface N { id: ID! } type Query implements N { a: Int }")

    validated = fc("schema", "validate", "odd.graphql")

    assert validated.exit_code == 1
    assert "✗ Interface field N.id expected but Query does not provide it." in validated.output


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
