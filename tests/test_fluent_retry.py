from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.fluent.retry import Verdict, backoff, judge_failure, judge_status, parse_retry_after

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@given(st.integers(100, 599))
def test_a_write_is_repeated_only_where_nothing_was_done(status: int) -> None:
    verdict = judge_status(status, writes=True)

    assert (verdict is Verdict.AGAIN) == (status == 429)
    assert (verdict is Verdict.RENEW) == (status == 401)
    assert (verdict is Verdict.DONE) == (200 <= status < 300)
    if status >= 500:
        assert verdict is Verdict.UNKNOWN


@given(st.integers(100, 599))
def test_a_read_is_never_in_doubt(status: int) -> None:
    assert judge_status(status, writes=False) is not Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (httpx.ConnectError("refused"), Verdict.AGAIN),
        (httpx.ConnectTimeout("slow"), Verdict.AGAIN),
        (httpx.PoolTimeout("full"), Verdict.AGAIN),
        (httpx.WriteTimeout("slow"), Verdict.UNKNOWN),
        (httpx.WriteError("broken pipe"), Verdict.UNKNOWN),
        (httpx.ReadTimeout("slow"), Verdict.UNKNOWN),
        (httpx.ReadError("reset"), Verdict.UNKNOWN),
        (httpx.RemoteProtocolError("gone"), Verdict.UNKNOWN),
        (httpx.DecodingError("not gzip"), Verdict.UNKNOWN),
        (httpx.ProxyError("403"), Verdict.UNKNOWN),
    ],
)
def test_a_failed_write_is_judged_by_how_far_it_got(failure: httpx.RequestError, verdict: Verdict) -> None:
    assert judge_failure(failure, writes=True) is verdict
    assert judge_failure(failure, writes=False) is Verdict.AGAIN


@given(st.integers(1, 10_000), st.integers())
def test_backoff_is_any_part_of_a_step_that_doubles_up_to_the_cap(attempt: int, seed: int) -> None:
    wait = backoff(attempt, base=timedelta(seconds=1), cap=timedelta(seconds=20), rng=Random(seed))

    step = min(20.0, 2.0 ** min(attempt - 1, 10))
    assert 0 <= wait.total_seconds() <= step


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("Thu, 15 Jan 2026 12:01:00 GMT", 60),
        ("Thu, 15 Jan 2026 12:01:00 -0000", 60),
        ("Thu, 15 Jan 2026 13:01:00 +0100", 60),
        ("Thu, 15 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1e9", "9" * 30, "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_a_retry_after_that_is_neither_form_is_none(value: str | None) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text())
def test_no_retry_after_can_raise_or_be_negative(value: str) -> None:
    parsed = parse_retry_after(value, now=NOW)

    assert parsed is None or parsed >= timedelta(0)
