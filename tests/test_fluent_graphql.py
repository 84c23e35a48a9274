from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FluentAPIError, FluentOutcomeUnknownError, GraphQLError
from fc_connect.fluent.graphql import is_query
from fc_connect.mapping import GraphQLMutationMapper
from tests.fluent_server import FluentServer, Reply, client_of


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


@pytest.mark.parametrize(
    "document",
    [
        "{ me { ref } }",
        "query { me { ref } }",
        'query Me($a: String = "mutation {") { me(a: $a) { ref } }',
        "# mutation { x }\nquery { mutation }",
        'query { a(text: """ } mutation { \\""" x """) { b } }',
        "fragment F on Order { mutation }\nquery Q { ...F }",
        "query Q @dir(a: {b: [1]}) { a }",
        "\ufeff query { a }",
    ],
)
def test_a_query_is_known_as_one(document: str) -> None:
    assert is_query(document)


@pytest.mark.parametrize(
    "document",
    [
        "mutation { x }",
        "mutation($a: Int) { x(a: $a) { ref } }",
        "# query\nmutation M { x }",
        "fragment F on Order { ref } mutation { x { ...F } }",
        "query A { a } mutation B { b }",
        "{ a } mutation B { b }",
        "subscription { s }",
        "",
        "# nothing",
        "query { a ",
        "query { a } }",
        'query { a(b: "unended) }',
    ],
)
def test_what_is_not_certainly_a_query_counts_as_a_write(document: str) -> None:
    assert not is_query(document)


def test_the_operation_name_chooses() -> None:
    document = "query A { a } mutation B { b } query C { c }"

    assert is_query(document, operation_name="A")
    assert is_query(document, operation_name="C")
    assert not is_query(document, operation_name="B")
    assert not is_query(document, operation_name="absent")


@given(st.text(alphabet='mutation query{}()"#\\\n abc$:', max_size=60))
def test_no_prelude_hides_a_mutation(prelude: str) -> None:
    """Whatever comes before, a mutation that a server would see is a write; the rest may be called either."""
    document = "# " + prelude.replace("\n", " ") + "\nmutation { x }"

    assert not is_query(document)


def test_data_comes_back_and_variables_go_out(server: FluentServer) -> None:
    server.replies.append(Reply(body={"data": {"me": {"ref": "x"}}}))

    with client_of(server) as client:
        data = client.graphql("query Q { me { ref } }", variables={"a": 1}, operation_name="Q")

    assert data == {"me": {"ref": "x"}}
    assert server.calls("/graphql")[0].json() == {
        "query": "query Q { me { ref } }",
        "variables": {"a": 1},
        "operationName": "Q",
    }


def test_errors_beside_data_are_an_error(server: FluentServer) -> None:
    errors = [
        {"message": "no such order", "extensions": {"code": "C0120"}, "path": ["order"]},
        {"message": "more"},
    ]
    server.replies.append(Reply(body={"data": {"order": None, "me": {}}, "errors": errors}))

    with client_of(server) as client, pytest.raises(GraphQLError) as caught:
        client.graphql("{ order { ref } me { ref } }")

    assert caught.value.errors == tuple(errors)
    assert caught.value.data == {"order": None, "me": {}}
    assert caught.value.code == "C0120"
    assert "no such order" in str(caught.value)
    assert "and 1 more" in str(caught.value)


def test_a_refusal_with_graphql_errors_is_a_graphql_error(server: FluentServer) -> None:
    server.replies.append(Reply(status=400, body={"errors": ["syntax"]}))

    with client_of(server) as client, pytest.raises(GraphQLError) as caught:
        client.graphql("{ a }")

    assert (caught.value.status, caught.value.errors) == (400, ({"message": "syntax"},))
    assert caught.value.data is None


def test_of_several_mutations_those_that_were_done_are_known(server: FluentServer) -> None:
    mapper = GraphQLMutationMapper({"mutation": "createX", "arguments": {"input": {"ref": "ref"}}})
    [request] = mapper.batch_map([{"ref": "a"}, {"ref": "b"}]).requests
    errors = [{"message": "taken", "path": ["createX2"]}]
    server.replies.append(Reply(body={"data": {"createX1": {"id": "1"}, "createX2": None}, "errors": errors}))

    with client_of(server) as client, pytest.raises(GraphQLError) as caught:
        client.graphql(request.query, variables=request.variables, operation_name=request.operation_name)
    response = request.parse({"data": caught.value.data, "errors": caught.value.errors})

    assert [(each.is_done, each.message) for each in response.results] == [(True, None), (False, "taken")]


def test_a_query_is_sent_again_and_a_mutation_is_not(server: FluentServer) -> None:
    server.replies += [Reply(status=502), Reply(body={"data": {}}), Reply(status=502)]

    with client_of(server) as client:
        client.graphql("{ a }")
        with pytest.raises(FluentOutcomeUnknownError):
            client.graphql("mutation { b }")

    assert len(server.calls("/graphql")) == 3


def test_an_answer_without_data_is_in_doubt_for_a_mutation_alone(server: FluentServer) -> None:
    server.replies += [Reply(body=b"<html>"), Reply(body={"data": None})]

    with client_of(server) as client:
        with pytest.raises(FluentOutcomeUnknownError):
            client.graphql("mutation { b }")
        with pytest.raises(FluentAPIError, match="neither data nor errors"):
            client.graphql("{ a }")


def test_an_empty_query_is_not_sent(server: FluentServer) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError):
        client.graphql("  ")

    assert server.seen == []


def test_parts_of_an_answer_come_with_their_errors_where_they_are_asked_for(server: FluentServer) -> None:
    errors = [{"message": "no customer", "path": ["customer"], "extensions": {"code": "C0120E"}}]
    server.replies += [
        Reply(
            body={"data": {"me": {"ref": "a"}, "customer": None}, "errors": errors, "extensions": {"x": 1}}
        ),
        Reply(body={"data": {"me": {"ref": "a"}}}),
    ]

    with client_of(server) as client:
        partly = client.graphql_answer("{ me { ref } customer { ref } }")
        wholly = client.graphql_answer("{ me { ref } }")

    assert (partly.data["me"], partly.is_partial, list(partly.errors)) == ({"ref": "a"}, True, errors)
    assert (partly.error is not None and partly.error.code, partly.extensions) == ("C0120E", {"x": 1})
    assert (wholly.is_partial, wholly.errors) == (False, ())


@pytest.mark.parametrize("data", [None, {"me": None}, {}])
def test_an_answer_without_any_data_has_no_parts(server: FluentServer, data: Any) -> None:
    server.replies += [Reply(body={"data": data, "errors": [{"message": "no"}]})]

    with client_of(server) as client, pytest.raises(GraphQLError):
        client.graphql_answer("{ me { ref } }")
