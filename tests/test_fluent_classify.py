"""What an error of Fluent means, and that the client's retries heed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from fc_connect.errors import (
    AuthenticationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    GraphQLError,
)
from fc_connect.fluent import classify_error
from tests.fluent_server import FluentServer, Reply, client_of


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def entry(code: Any = None, message: Any = "it failed") -> dict[str, Any]:
    return {"message": message, **({} if code is None else {"extensions": {"code": code}})}


@pytest.mark.parametrize(
    ("code", "category", "action", "seconds"),
    [
        ("C0001E", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0003", "CLIENT_ERROR", "RETRY_LATER", 60),
        ("C0011E", "CLIENT_ERROR", "RETRY_LATER", 60),
        ("C0020", "CLIENT_ERROR", "CONTACT_SUPPORT", None),
        ("C0105", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0120", "CLIENT_ERROR", "VERIFY_PAYLOAD", None),
        ("C0122", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0128", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0135W", "CLIENT_ERROR", "VERIFY_PAYLOAD", None),
        ("C0141", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0179", "CLIENT_ERROR", "FIX_AND_RETRY", None),
        ("C0999", "CLIENT_ERROR", "VERIFY_PAYLOAD", None),
        ("S0002", "SERVER_ERROR", "RETRY_LATER", 30),
        ("S0001", "SERVER_ERROR", "CONTACT_SUPPORT", None),
        ("S0019", "SERVER_ERROR", "CONTACT_SUPPORT", None),
        ("S0020E", "SERVER_ERROR", "RETRY_LATER", 30),
        ("S0030", "SERVER_ERROR", "CONTACT_SUPPORT", None),
        ("S0040", "SERVER_ERROR", "RETRY_LATER", 10),
        ("S4711", "SERVER_ERROR", "RETRY_LATER", 30),
        ("T0001", "THIRD_PARTY_ERROR", "RETRY_LATER", 30),
        ("UNAUTHENTICATED", "CLIENT_ERROR", "CONTACT_SUPPORT", None),
        # Not codes of Fluent, whatever their first letter.
        ("CONFLICT", "UNKNOWN", "CONTACT_SUPPORT", None),
        ("SERVER_DOWN", "UNKNOWN", "CONTACT_SUPPORT", None),
        ("TIMEOUT", "UNKNOWN", "CONTACT_SUPPORT", None),
        (500, "UNKNOWN", "CONTACT_SUPPORT", None),
    ],
)
def test_a_code_says_whose_error_it_is_and_what_to_do(
    code: Any, category: str, action: str, seconds: int | None
) -> None:
    found = classify_error(entry(code))

    assert (found.category, found.action) == (category, action)
    assert found.is_retryable is (seconds is not None)
    assert found.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("Failed: C0011E too many requests", "RETRY_LATER"),
        ("Order already exists", "VERIFY_PAYLOAD"),
        ("Location not found", "VERIFY_PAYLOAD"),
        ("field ref is required", "FIX_AND_RETRY"),
        ("Connection reset", "RETRY_LATER"),
        ("Internal server error", "RETRY_LATER"),
        ("who knows", "CONTACT_SUPPORT"),
        ("", "CONTACT_SUPPORT"),
        (None, "CONTACT_SUPPORT"),
        (17, "CONTACT_SUPPORT"),
    ],
)
def test_without_a_code_the_words_say_it(message: Any, action: str) -> None:
    assert classify_error(entry(message=message)).action == action


def test_of_several_errors_the_first_that_can_not_be_retried_counts() -> None:
    error = GraphQLError("two", errors=[entry("S0002"), entry("C0105"), entry("C0020")])

    assert classify_error(error).code == "C0105"


@pytest.mark.parametrize(
    ("error", "is_retryable", "action"),
    [
        (FluentUnavailableError("busy", status=503), True, "RETRY_LATER"),
        # It may have been done: the answer is to look, not to send again.
        (FluentOutcomeUnknownError("timed out"), False, "VERIFY_PAYLOAD"),
        (AuthenticationError("no", status=401), False, "CONTACT_SUPPORT"),
        (FluentAPIError("bad", status=400), False, "FIX_AND_RETRY"),
        (FluentAPIError("gone", status=404), False, "VERIFY_PAYLOAD"),
        (FluentAPIError("bad", status=400, code="C0020"), False, "CONTACT_SUPPORT"),
    ],
)
def test_errors_of_the_client_are_classified_too(
    error: FluentAPIError, is_retryable: bool, action: str
) -> None:
    found = classify_error(error)

    assert (found.is_retryable, found.action) == (is_retryable, action)


def test_a_query_that_met_an_error_that_passes_is_sent_again(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"data": None, "errors": [entry("S0002")]}),
        Reply(body={"data": {"me": {"ref": "x"}}}),
    ]

    with client_of(server) as client:
        data = client.graphql("{ me { ref } }")

    assert data == {"me": {"ref": "x"}}


@pytest.mark.parametrize(
    ("document", "code"),
    [("mutation { x }", "S0002"), ("{ me { ref } }", "C0105"), ("{ me { ref } }", "C9999")],
)
def test_a_mutation_and_an_error_that_stays_are_not_sent_again(
    server: FluentServer, document: str, code: str
) -> None:
    server.replies.append(Reply(body={"data": None, "errors": [entry(code)]}))

    with client_of(server) as client, pytest.raises(GraphQLError):
        client.graphql(document)

    assert len(server.calls("/graphql")) == 1
