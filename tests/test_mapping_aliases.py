"""The answer to several mutations at once: none of it is lost, and nothing that was done looks undone."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.mapping.aliases import format_error_summary, get_error_message, parse_aliased_response
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, needs_cases, same

CASES = cases_of("alias_parse")


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_compat_mode_gives_what_the_original_gives(case: dict[str, Any]) -> None:
    config = decoded(case["config"])

    found = parse_aliased_response(
        decoded(case["input"]), config["batchSize"], config["mutationName"], config["inputs"], compat=True
    )

    assert same(found.to_dict(), case["output"])


def test_an_error_that_names_no_alias_tells_why_those_without_one_failed() -> None:
    answer = {
        "data": {"m1": {"id": 1}, "m2": None},
        "errors": [
            {"message": "quota"},
            {"message": "odd", "path": ["elsewhere"]},
            {"message": "bad", "path": ["m2"]},
        ],
    }

    found = parse_aliased_response(answer, 3, "m")

    assert [each.message for each in found.results] == [None, "bad", "quota; odd"]
    assert [each["message"] for each in found.other_errors] == ["quota", "odd"]
    assert found.to_dict()["otherErrors"] == list(found.other_errors)


def test_no_mutations_neither_all_succeeded_nor_all_failed() -> None:
    strict, compat = (parse_aliased_response({"data": {}}, 0, "m", compat=compat) for compat in (False, True))

    assert (strict.all_succeeded, strict.all_failed) == (False, False)
    assert (compat.all_succeeded, compat.all_failed) == (True, True)


def test_compat_mode_tells_what_the_answer_has_for_a_message() -> None:
    answer = {"data": {"m1": None}, "errors": [{"message": None, "path": ["m1"]}]}

    assert parse_aliased_response(answer, 1, "m", compat=True).results[0].message is None
    assert parse_aliased_response(answer, 1, "m").results[0].message == "Unknown error"
    assert not parse_aliased_response(None, 0, "m", compat=True).all_succeeded


def test_what_returned_data_was_done_whatever_its_errors_say() -> None:
    answer = {"data": {"m1": {"id": 1}}, "errors": [{"message": "field", "path": ["m1", "ref"]}]}

    [result] = parse_aliased_response(answer, 1, "m").results

    assert not result.success
    assert result.is_done


def test_aliases_that_begin_alike_are_told_apart() -> None:
    answer = {
        "data": {"m1": {"id": 1}, **{f"m{number}": {"id": number} for number in range(2, 12)}},
        "errors": [{"message": "eleventh", "path": ["m11"]}],
    }

    found = parse_aliased_response(answer, 11, "m")

    assert [each.index for each in found.failures] == [10]
    assert len(found.successes) == 10


@pytest.mark.parametrize("answer", [None, "text", 5, [], {}, {"data": None}, {"data": []}, {"errors": "x"}])
def test_whatever_the_answer_no_mutation_is_lost(answer: Any) -> None:
    found = parse_aliased_response(answer, 2, "m", [{"ref": "a"}])

    assert [each.success for each in found.results] == [False, False]
    assert found.all_failed
    assert all(each.message for each in found.results)


def test_inputs_are_known_by_what_the_caller_says() -> None:
    found = parse_aliased_response({"data": {}}, 2, "m", [{"sku": "S"}], extract_ref=lambda item: item["sku"])

    assert [each.input_ref for each in found.results] == ["S", ABSENT]


def test_the_summary_has_a_line_for_every_failure() -> None:
    answer = {"data": {"m1": {"id": 1}, "m2": None}, "errors": [{"message": "quota"}]}

    summary = format_error_summary(parse_aliased_response(answer, 2, "m", [{}, {"ref": "b"}]))

    assert summary == "[1] m2 (b): quota\n(no alias): quota"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "bad"}, "bad"),
        ({"message": 5}, "Unknown error"),
        (ValueError("x"), "x"),
        (None, "Unknown error"),
    ],
)
def test_an_error_has_a_text_whatever_its_form(error: Any, text: str) -> None:
    assert get_error_message(error) == text
