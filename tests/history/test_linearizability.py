"""The checker agrees with known verdicts, and with trying every order."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc_connect.errors import ParseError
from fc_connect.proof.history import History, Operation, Outcome, read_history
from fc_connect.proof.linearizability import Verdict, check, check_operations, read_jepsen_log
from fc_connect.proof.models import KVModel, LeaseModel, Model, RegisterModel

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpora" / "histories"
VERDICTS = CORPUS / "verdicts.tsv"
MS = 1_000_000


def op(
    invoked: int,
    returned: int,
    *call: Any,
    gives: Any = None,
    outcome: Outcome = Outcome.DONE,
    client: int = 0,
) -> Operation:
    return Operation(
        client=client, call=call, result=gives, outcome=outcome, invoked=invoked, returned=returned
    )


def commit(
    invoked: int,
    returned: int,
    *,
    checks: Sequence[Any] = (),
    sets: Sequence[Any] = (),
    deletes: Sequence[Any] = (),
    gives: Any = None,
    outcome: Outcome = Outcome.DONE,
) -> Operation:
    call = ("commit", tuple(checks), tuple(sets), tuple(deletes))
    return op(invoked, returned, *call, gives=gives, outcome=outcome)


def verdict(model: Model, *operations: Operation) -> Verdict:
    return check_operations(operations, model).verdict


# The public histories


@pytest.mark.skipif(not VERDICTS.exists(), reason="../shared/corpora/histories isn't here")
def test_every_known_verdict_on_the_public_histories_is_found() -> None:
    known = dict(line.split("\t") for line in VERDICTS.read_text().splitlines() if line)

    found = {name: check(read_jepsen_log(CORPUS / name)).verdict.replace(" ", "-") for name in known}

    assert len(known) > 50
    assert found == known


@pytest.mark.skipif(not VERDICTS.exists(), reason="../shared/corpora/histories isn't here")
def test_a_failed_compare_and_set_is_no_evidence_that_those_verdicts_rest_on() -> None:
    known = dict(line.split("\t") for line in VERDICTS.read_text().splitlines() if line)

    for name, expected in known.items():
        operations = read_jepsen_log(CORPUS / name).operations
        weaker = [each for each in operations if not (each.call[0] == "cas" and each.result is False)]
        assert verdict(RegisterModel(), *weaker).replace(" ", "-") == expected


# Trying every order


def brute_force(model: Model, operations: Sequence[Operation]) -> bool:
    """Try every order of every choice of the operations with an unknown outcome."""
    done = [each for each in operations if each.outcome is Outcome.DONE]
    unknown = [each for each in operations if each.outcome is Outcome.UNKNOWN]
    if model.contradiction(operations) is not None:
        return False
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*done, *chosen]):
                if keeps_real_time(order) and fits(model, order):
                    return True
    return False


def keeps_real_time(order: Sequence[Operation]) -> bool:
    return not any(
        later.outcome is Outcome.DONE and later.returned < earlier.invoked
        for at, earlier in enumerate(order)
        for later in order[at + 1 :]
    )


def fits(model: Model, order: Sequence[Operation]) -> bool:
    states = {model.initial()}
    for each in order:
        states = {after for state in states for after in model.step(state, each)}
    return bool(states)


def times() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda each: (each[0], each[0] + each[1]))


values = st.sampled_from([None, 1, 2])


@st.composite
def register_operations(draw: st.DrawFn) -> Operation:
    invoked, returned = draw(times())
    call = draw(
        st.one_of(
            st.just(("read",)),
            st.tuples(st.just("write"), values),
            st.tuples(st.just("cas"), values, values),
        )
    )
    outcome = draw(st.sampled_from([Outcome.DONE, Outcome.DONE, Outcome.UNKNOWN, Outcome.FAILED]))
    result = draw(values) if call[0] == "read" else draw(st.booleans()) if call[0] == "cas" else True
    return op(invoked, returned, *call, gives=result, outcome=outcome)


@settings(max_examples=250, deadline=None)
@given(st.lists(register_operations(), max_size=6))
def test_a_registers_verdict_is_that_of_trying_every_order(operations: list[Operation]) -> None:
    expected = brute_force(RegisterModel(), operations)

    assert (verdict(RegisterModel(), *operations) is Verdict.LINEARIZABLE) == expected


stamps = st.sampled_from(["1", "2", "3"])
keys = st.sampled_from(["a", "b"])
entries = st.one_of(st.none(), st.tuples(st.sampled_from(["x", "y"]), stamps))


@st.composite
def kv_operations(draw: st.DrawFn) -> Operation:
    invoked, returned = draw(times())
    invoked, returned = invoked * 20 * MS, returned * 20 * MS
    outcome = draw(st.sampled_from([Outcome.DONE, Outcome.DONE, Outcome.UNKNOWN]))
    kind = draw(st.sampled_from(["get", "snapshot", "commit", "commit", "commit"]))
    if kind == "get":
        return op(invoked, returned, "get", draw(keys), gives=draw(entries), outcome=outcome)
    if kind == "snapshot":
        return op(invoked, returned, kind, ("a", "b"), gives=(draw(entries), draw(entries)), outcome=outcome)
    checks = draw(st.lists(st.tuples(keys, st.one_of(st.none(), stamps)), max_size=1))
    lifetimes = st.sampled_from([None, None, 60])
    sets = draw(
        st.lists(
            st.tuples(keys, st.sampled_from(["x", "y"]), lifetimes),
            max_size=2,
            unique_by=lambda each: each[0],
        )
    )
    deletes = [] if sets else [draw(keys)]
    ok = draw(st.booleans()) or not checks
    result = (ok, draw(stamps) if ok else None)
    return commit(invoked, returned, checks=checks, sets=sets, deletes=deletes, gives=result, outcome=outcome)


@settings(max_examples=300, deadline=None)
@given(st.lists(kv_operations(), max_size=5))
def test_a_stores_verdict_is_that_of_trying_every_order(operations: list[Operation]) -> None:
    expected = brute_force(KVModel(["a", "b"]), operations)

    assert (verdict(KVModel(), *operations) is Verdict.LINEARIZABLE) == expected


# A key-value store


def test_a_key_is_at_the_version_that_its_commit_was_given() -> None:
    put = commit(1, 2, sets=[("a", "x", None)], gives=(True, "1"))

    assert verdict(KVModel(), put, op(3, 4, "get", "a", gives=("x", "1"))) is Verdict.LINEARIZABLE
    assert verdict(KVModel(), put, op(3, 4, "get", "a", gives=("x", "2"))) is Verdict.NOT_LINEARIZABLE
    assert verdict(KVModel(), put, op(3, 4, "get", "a")) is Verdict.NOT_LINEARIZABLE


def test_of_two_commits_that_demand_one_version_both_can_not_hold() -> None:
    first = commit(1, 9, checks=[("a", None)], sets=[("a", "x", None)], gives=(True, "1"))
    second = commit(2, 8, checks=[("a", None)], sets=[("a", "y", None)], gives=(True, "2"))

    assert verdict(KVModel(), first, second) is Verdict.NOT_LINEARIZABLE


def test_a_commit_of_several_keys_is_seen_as_a_whole() -> None:
    both = commit(1, 9, sets=[("a", "x", None), ("b", "x", None)], gives=(True, "1"))
    half = op(2, 3, "snapshot", ("a", "b"), gives=(("x", "1"), None))

    assert verdict(KVModel(), both, half) is Verdict.NOT_LINEARIZABLE


def test_a_refused_commit_needs_a_reason() -> None:
    refused = commit(3, 4, checks=[("a", None)], sets=[("a", "x", None)], gives=(False, None))
    put = commit(1, 2, sets=[("a", "y", None)], gives=(True, "1"))

    assert verdict(KVModel(), refused) is Verdict.NOT_LINEARIZABLE
    assert verdict(KVModel(), put, refused) is Verdict.LINEARIZABLE


def test_versionstamps_have_to_grow_also_between_keys() -> None:
    first = commit(1, 2, sets=[("a", "x", None)], gives=(True, "2"))
    second = commit(3, 4, sets=[("b", "x", None)], gives=(True, "1"))

    result = check_operations([first, second], KVModel())

    assert result.verdict is Verdict.NOT_LINEARIZABLE
    assert "versionstamp" in result.reason


def test_what_an_unknown_commit_wrote_shows_at_any_later_time_or_never() -> None:
    lost = commit(1, 2, sets=[("a", "x", None)], outcome=Outcome.UNKNOWN)
    absent, present = op(3, 4, "get", "a"), op(5, 6, "get", "a", gives=("x", "7"))

    assert verdict(KVModel(), lost, absent) is Verdict.LINEARIZABLE
    assert verdict(KVModel(), lost, absent, present) is Verdict.LINEARIZABLE
    again = op(7, 8, "get", "a", gives=("x", "8"))
    assert verdict(KVModel(), lost, present, again) is Verdict.NOT_LINEARIZABLE


def test_what_a_store_said_it_had_not_done_must_not_show() -> None:
    failed = commit(1, 2, sets=[("a", "x", None)], outcome=Outcome.FAILED)

    assert verdict(KVModel(), failed, op(5, 6, "get", "a", gives=("x", "7"))) is Verdict.NOT_LINEARIZABLE


def test_a_key_expires_neither_too_early_nor_too_late() -> None:
    put = commit(0, 1 * MS, sets=[("a", "x", 100)], gives=(True, "1"))
    there, gone = ("x", "1"), None

    def read(at: int, answer: Any) -> Verdict:
        return verdict(KVModel(), put, op(at * MS, (at + 1) * MS, "get", "a", gives=answer))

    assert read(50, there) is Verdict.LINEARIZABLE
    assert read(50, gone) is Verdict.NOT_LINEARIZABLE
    assert read(100, there) is read(100, gone) is Verdict.LINEARIZABLE
    assert read(150, there) is Verdict.NOT_LINEARIZABLE
    assert read(150, gone) is Verdict.LINEARIZABLE


def test_an_expired_key_does_not_come_back() -> None:
    put = commit(0, 1 * MS, sets=[("a", "x", 100)], gives=(True, "1"))
    gone = op(98 * MS, 99 * MS, "get", "a")
    back = op(100 * MS, 101 * MS, "get", "a", gives=("x", "1"))

    assert verdict(KVModel(), put, gone) is Verdict.LINEARIZABLE
    assert verdict(KVModel(), put, gone, back) is Verdict.NOT_LINEARIZABLE


# Leases


def test_a_lock_has_one_holder_until_it_may_have_expired() -> None:
    first = op(0, 1 * MS, "acquire", 100, gives=(1,))

    def then(at: int) -> Verdict:
        return verdict(LeaseModel(), first, op(at * MS, (at + 1) * MS, "acquire", 100, gives=(2,)))

    assert then(50) is Verdict.NOT_LINEARIZABLE
    assert then(150) is Verdict.LINEARIZABLE


def test_a_write_under_a_lock_that_another_took_over_is_a_fault() -> None:
    first = op(0, 1 * MS, "acquire", 100, gives=(1,))
    second = op(150 * MS, 151 * MS, "acquire", 100, gives=(2,))
    late = op(160 * MS, 161 * MS, "write", 1, "x", gives=True)
    refused = op(160 * MS, 161 * MS, "write", 1, "x", gives=False)

    assert verdict(LeaseModel(), first, second, late) is Verdict.NOT_LINEARIZABLE
    assert (
        verdict(LeaseModel(), first, second, refused, op(170 * MS, 171 * MS, "read")) is Verdict.LINEARIZABLE
    )
    shows = op(170 * MS, 171 * MS, "read", gives="x")
    assert verdict(LeaseModel(), first, second, refused, shows) is Verdict.NOT_LINEARIZABLE


def test_a_write_of_a_paused_holder_after_the_expiry_is_a_fault() -> None:
    first = op(0, 1 * MS, "acquire", 100, gives=(1,))
    pause = op(10 * MS, 11 * MS, "pause", 1, 100, gives=True)

    def write(at: int) -> Verdict:
        return verdict(LeaseModel(), first, pause, op(at * MS, (at + 1) * MS, "write", 1, "x", gives=True))

    assert write(90) is Verdict.LINEARIZABLE
    assert write(300) is Verdict.NOT_LINEARIZABLE


def test_tokens_are_given_once_and_grow() -> None:
    def two(first: int, second: int) -> Verdict:
        return verdict(
            LeaseModel(),
            op(0, 1, "acquire", 100, gives=(first,)),
            op(2, 3, "release", first, gives=True),
            op(4, 5, "acquire", 100, gives=(second,)),
        )

    assert two(1, 2) is Verdict.LINEARIZABLE
    assert two(1, 1) is two(2, 1) is Verdict.NOT_LINEARIZABLE


def test_a_refusal_needs_a_holder() -> None:
    refused = op(4, 5, "acquire", 100)

    assert verdict(LeaseModel(), refused) is Verdict.NOT_LINEARIZABLE
    assert verdict(LeaseModel(), op(0, 1, "acquire", 100, gives=(1,)), refused) is Verdict.LINEARIZABLE


# What a person reads


def test_a_failure_names_the_operation_that_fits_nowhere_and_an_order_up_to_it() -> None:
    operations = [
        op(1, 2, "write", 1, gives=True),
        op(3, 4, "read", gives=1),
        op(5, 6, "read", gives=7),
        op(7, 8, "read", gives=1),
    ]

    result = check_operations(operations, RegisterModel())

    assert result.stuck is operations[2]
    assert result.order == tuple(operations[:2])
    assert "read() -> 7" in result.reason


def test_too_much_work_is_unknown_and_ends() -> None:
    operations = [op(0, 100, "write", number, gives=True, client=number) for number in range(24)]
    operations.append(op(0, 100, "read", gives="never written"))

    result = check_operations(operations, RegisterModel(), work_limit=20_000)

    assert result.verdict is Verdict.UNKNOWN
    assert result.steps < 40_000


# Files


LOG = """\
INFO  jepsen.core - Running test
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 nil]
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 0\t:info\t:write\t:timed-out
INFO  jepsen.util - 1\t:ok\t:cas\t[3 nil]
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:fail\t:read\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 2\t:fail\t:cas\t[1 2]
INFO  jepsen.util - 3\t:invoke\t:write\t4
INFO  jepsen.util - 3\t:invoke\t:read\tnil
"""


def test_every_phase_of_a_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(LOG)

    history = read_jepsen_log(path)

    assert [(each.call, each.result, each.outcome) for each in history.operations] == [
        (("write", 3), None, Outcome.UNKNOWN),
        (("cas", 3, None), True, Outcome.DONE),
        (("read",), None, Outcome.FAILED),
        (("cas", 1, 2), False, Outcome.DONE),
        (("write", 4), None, Outcome.UNKNOWN),
        (("read",), None, Outcome.UNKNOWN),
    ]
    assert check(history).verdict is Verdict.LINEARIZABLE


@pytest.mark.parametrize(
    "line", ["0 :ok :read 3", "0 :invoke :enqueue 3", "0 :invoke :cas 3", "0 :invoke :cas [1]"]
)
def test_a_log_that_is_none_of_a_register_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.log"
    path.write_text(f"INFO  jepsen.util - {line}\n")

    with pytest.raises(ParseError, match=r"x\.log:1"):
        read_jepsen_log(path)


def test_an_empty_history_is_linearizable(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("")

    assert check(read_history(tmp_path / "x.log")).verdict is Verdict.LINEARIZABLE


def test_a_history_comes_back_from_its_file(tmp_path: Path) -> None:
    history = History(
        model="kv",
        operations=(
            commit(1, 2, checks=[("a", None)], sets=[("a", 1, None)], gives=(True, "1")),
            op(3, 4, "snapshot", ("a", "b"), gives=((1, "1"), None), client=3),
            commit(5, 6, deletes=["a"], outcome=Outcome.UNKNOWN),
        ),
        about={"seed": 7},
    )

    history.save(tmp_path / "h" / "x.jsonl")

    assert read_history(tmp_path / "h" / "x.jsonl") == history


def test_the_command_prints_a_verdict_a_line_and_exits_by_the_worst(tmp_path: Path) -> None:
    good, bad, broken = (tmp_path / name for name in ("good.log", "bad.log", "broken.jsonl"))
    good.write_text("INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\tnil\n")
    bad.write_text("INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\t1\n")
    broken.write_text('{"model": "kv"}\n')

    def run(*paths: Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "fc_connect.proof.linearizability", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout

    assert run(good) == (0, f"{good} linearizable\n")
    assert run(good, bad) == (1, f"{good} linearizable\n{bad} not linearizable\n")
    assert run(broken, bad) == (2, f"{bad} not linearizable\n")
