from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, FluentOutcomeUnknownError, GraphQLError
from fc_connect.fluent import Outcome
from tests.fluent_server import FluentServer, Reply, client_of

DONE, NOT_DONE, UNKNOWN = Outcome.DONE, Outcome.NOT_DONE, Outcome.UNKNOWN


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def inputs(count: int) -> list[dict[str, str]]:
    return [{"ref": f"L{number}"} for number in range(1, count + 1)]


def data(*ids: int | None) -> dict[str, Any]:
    return {f"createLocation{n}": None if each is None else {"id": each} for n, each in enumerate(ids, 1)}


def refused(message: str, *path: Any, code: str = "C0123E") -> dict[str, Any]:
    return {
        "message": message,
        "extensions": {"code": code},
        **({"path": list(path)} if path else {}),
    }


def sent(server: FluentServer) -> list[list[str]]:
    return [
        [each["ref"] for each in call.json()["variables"].values()]
        for call in server.calls("/graphql", method="POST")
    ]


def test_one_mutation_goes_out_for_each_input_several_in_a_request(server: FluentServer) -> None:
    server.replies += [Reply(body={"data": data(1, 2)}), Reply(body={"data": data(3)})]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(3), returning="id ref", at_once=2)

    assert sent(server) == [["L1", "L2"], ["L3"]]
    assert results.is_all_well
    assert [(each.index, each.value) for each in results.items] == [(n - 1, {"id": n}) for n in (1, 2, 3)]
    query = server.calls("/graphql")[0].json()["query"]
    assert re.sub(r"\s+", " ", query) == (
        "mutation createLocationEach($input1: CreateLocationInput!, $input2: CreateLocationInput!) { "
        "createLocation1: createLocation(input: $input1) { id ref } "
        "createLocation2: createLocation(input: $input2) { id ref } }"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"data": data(1, None, 3), "errors": [refused("exists", "createLocation2")]},
            (DONE, NOT_DONE, DONE),
        ),
        # It returned something, and that is what failed: the mutation itself ran.
        (
            {"data": data(1, None, 3), "errors": [refused("x", "createLocation2", "name")]},
            (DONE, UNKNOWN, DONE),
        ),
        (
            {"data": data(1, None, 3), "errors": [refused("x", "createLocation2", code="S0002E")]},
            (DONE, UNKNOWN, DONE),
        ),
        ({"data": data(1, None, 3)}, (DONE, UNKNOWN, DONE)),
        ({"data": {"createLocation1": {"id": 1}}}, (DONE, UNKNOWN, UNKNOWN)),
        ({"data": data(1, 2, 3), "errors": [refused("beside", "createLocation2")]}, (DONE, DONE, DONE)),
        # A type that can't be null takes all the data with it: the first was done, and the answer doesn't say so.
        ({"data": None, "errors": [refused("exists", "createLocation2")]}, (UNKNOWN, NOT_DONE, UNKNOWN)),
        ({"data": None, "errors": [refused("unknown field")]}, (NOT_DONE, NOT_DONE, NOT_DONE)),
        ({"errors": [refused("no permission", code="C0020E")]}, (NOT_DONE, NOT_DONE, NOT_DONE)),
        (
            {
                "errors": [
                    {"message": "Field 'x' undefined", "extensions": {"classification": "ValidationError"}}
                ]
            },
            (NOT_DONE, NOT_DONE, NOT_DONE),
        ),
        ({"data": None, "errors": [refused("oops", code="S0001E")]}, (UNKNOWN, UNKNOWN, UNKNOWN)),
        ({"data": None, "errors": [{"message": "oops"}]}, (UNKNOWN, UNKNOWN, UNKNOWN)),
        ({}, (UNKNOWN, UNKNOWN, UNKNOWN)),
    ],
)
def test_an_answer_says_of_each_whether_it_is_done(
    server: FluentServer, body: dict[str, Any], expected: tuple[Outcome, ...]
) -> None:
    server.replies += [Reply(body=body)]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(3))

    assert tuple(each.outcome for each in results.items) == expected
    assert all(each.error is not None for each in (*results.not_done, *results.unknown))
    assert len(server.calls("/graphql")) == 1


def test_what_was_said_of_one_that_is_done_is_kept(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"data": data(1), "errors": [refused("beside", "createLocation1", "name")]})
    ]

    with client_of(server) as client:
        [result] = client.mutate_each("createLocation", inputs(1)).items

    assert isinstance(result.error, GraphQLError)
    assert (result.outcome, result.error.code) == (DONE, "C0123E")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=413, body=b"Too large"),
        Reply(status=200, body={"data": None, "errors": [refused("too complex", code="C0001E")]}),
    ],
)
def test_a_request_that_is_too_much_for_fluent_goes_in_halves(server: FluentServer, reply: Reply) -> None:
    server.replies += [reply, Reply(body={"data": data(1)}), Reply(body={"data": data(2, 3)})]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(3))

    assert sent(server) == [["L1", "L2", "L3"], ["L1"], ["L2", "L3"]]
    assert [each.value for each in results.items] == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_one_that_is_too_much_alone_is_not_done_and_says_so(server: FluentServer) -> None:
    server.replies += [Reply(status=413, body=b"")]

    with client_of(server) as client:
        [result] = client.mutate_each("createLocation", inputs(1)).items

    assert result.outcome is NOT_DONE
    assert "Send less at once" in str(result.error)


def test_an_input_that_is_refused_by_its_variable_does_not_take_the_others_with_it(
    server: FluentServer,
) -> None:
    blamed = refused('Variable "$input2" got invalid value', code="BAD_USER_INPUT")
    server.replies += [Reply(body={"data": None, "errors": [blamed]}), Reply(body={"data": data(1, 3)})]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(3))

    assert sent(server) == [["L1", "L2", "L3"], ["L1", "L3"]]
    assert [each.outcome for each in results.items] == [DONE, NOT_DONE, DONE]


@pytest.mark.parametrize("reply", [Reply(mode="drop"), Reply(status=503), Reply(mode="cut")])
def test_nothing_is_sent_after_a_request_of_which_nothing_is_known(
    server: FluentServer, reply: Reply
) -> None:
    server.replies += [Reply(body={"data": data(1)}), reply]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(3), at_once=1)

    assert [each.outcome for each in results.items] == [DONE, UNKNOWN, NOT_DONE]
    assert isinstance(results.items[1].error, FluentOutcomeUnknownError)
    assert str(results.items[2].error).startswith("Not sent: ")
    assert sent(server) == [["L1"], ["L2"]]


def test_requests_stay_below_two_megabytes_and_what_can_not_is_told(server: FluentServer) -> None:
    big = [{"ref": "a" * 900_000}, {"ref": "b" * 900_000}, {"ref": "c" * 2_000_000}, {"ref": "d" * 900_000}]
    server.replies += [Reply(body={"data": data(1, 2)}), Reply(body={"data": data(4)})]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", [*big, {"ref": float("nan")}])

    assert [[ref[:1] for ref in refs] for refs in sent(server)] == [["a", "b"], ["d"]]
    assert [each.outcome for each in results.items] == [DONE, DONE, NOT_DONE, DONE, NOT_DONE]
    assert "more than Fluent takes" in str(results.items[2].error)


def test_requests_stay_below_the_complexity_that_fluent_takes(server: FluentServer) -> None:
    dear = "id quantities(first: 100) { edges { node { a b c d e f g h i j k l m n o p q r s t u v w x } } }"
    server.replies += [Reply(body={"data": data(1, 2, 3, 4)}), Reply(body={"data": data(5)})]

    with client_of(server) as client:
        results = client.mutate_each("createLocation", inputs(5), returning=dear)

    assert list(map(len, sent(server))) == [4, 1]
    assert len(results.done) == 5


@pytest.mark.parametrize(
    ("mutation", "options", "expected"),
    [
        ("create location", {}, "mutation must be a name"),
        ("createLocation", {"input_type": "A!"}, "input_type must be a name"),
        ("createLocation", {"at_once": 0}, "at_once"),
        ("createLocation", {"returning": "id {"}, "`returning`"),
        ("createLocation", {"returning": "id } } query { x { y"}, "fields alone"),
    ],
)
def test_a_mutation_that_can_not_be_asked_is_refused_before_anything_is_sent(
    server: FluentServer, mutation: str, options: dict[str, Any], expected: str
) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError, match=expected):
        client.mutate_each(mutation, inputs(1), **options)

    assert not server.seen
