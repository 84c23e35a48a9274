"""Whatever a server answers to several mutations: each is told, none is sent again that may have been done."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FluentAPIError, GraphQLError
from fc_connect.fluent import Outcome, estimate_cost
from fc_connect.fluent.mutations import Mutations
from tests.fuzz.effort import examples

COUNT = 4

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
aliases = st.sampled_from([f"doIt{number}" for number in range(COUNT + 2)])
codes = st.sampled_from(["C0001E", "C0123E", "C0020E", "S0002E", "T0001E", "BAD_USER_INPUT", "odd", 7, None])
errors = st.fixed_dictionaries(
    {},
    optional={
        "message": st.sampled_from(["no", "$input2 is wrong", "$input999999999 $input0", "timed out"])
        | scalars,
        "path": st.lists(aliases | st.integers(0, 3), max_size=3) | scalars,
        "extensions": st.fixed_dictionaries({}, optional={"code": codes}) | scalars,
    },
)
data = st.none() | st.dictionaries(aliases, st.none() | st.just({"id": "1"}) | scalars, max_size=COUNT)


@examples(100)
@given(
    st.lists(st.tuples(data, st.lists(errors, max_size=3), st.sampled_from([200, 400, 413, 422])), min_size=1)
)
def test_each_mutation_is_told_and_what_may_be_done_is_not_sent_again(answers: list[Any]) -> None:
    sent: list[list[int]] = []
    maybe_done: set[int] = set()

    def send(query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        numbers = [each["n"] for each in variables.values()]
        assert not maybe_done & set(numbers)
        found, told, status = answers[len(sent) % len(answers)]
        sent.append(numbers)
        assert len(sent) < 50
        whole = [each for each in told if each.get("path") or status == 200]
        if status == 200 and (found is not None or any(isinstance(each.get("path"), list) for each in whole)):
            maybe_done.update(numbers)
        if status == 413:
            raise FluentAPIError("too much", status=413)
        if told:
            raise GraphQLError("no", errors=told, data=found if status == 200 else None, status=status)
        if found is None:
            maybe_done.update(numbers)
            raise FluentAPIError("odd")
        return dict(found)

    results = Mutations("doIt", input_type=None, returning="id", at_once=COUNT).run(
        [{"n": number} for number in range(COUNT + 1)], send
    )

    assert [each.index for each in results.items] == list(range(COUNT + 1))
    for each in results.items:
        assert (each.outcome is Outcome.DONE) == (each.value is not None)
        assert each.error is not None or each.outcome is Outcome.DONE


@examples(100)
@given(
    st.text() | st.text(alphabet='{}()$:"!.[]# \nab1query', max_size=60), st.dictionaries(st.text(), scalars)
)
@example("{" * 5000, {})
@example("{a(first: 99999999999999999999999) { edges { b } }}", {})
@example("query($n: Int = [1]) {a(first: $n) { edges { b } }}", {"n": True})
def test_a_cost_is_a_number_or_a_fault_of_the_query(query: str, variables: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigurationError):
        assert estimate_cost(query, variables=variables).complexity >= 0
