"""Logs of a program: text for people, JSON for machines, secrets in neither."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.observe import configure_logging, correlate, mask_secrets

logger = logging.getLogger("fc_connect.test")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    names = (
        "httpx",
        "boto3",
        "s3transfer",
        "urllib3",
        "asyncio",
        "psycopg.pool",
        "httpcore",
        "botocore",
        "hpack",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def logged(message: str, *arguments: object, json_lines: bool = False, **options: Any) -> str:
    stream = io.StringIO()
    configure_logging(level="info", json=json_lines, stream=stream)
    logger.info(message, *arguments, **options)
    return stream.getvalue()


def test_a_text_line_has_time_level_run_and_message() -> None:
    stream = io.StringIO()
    configure_logging(level="INFO", stream=stream)
    record = logging.makeLogRecord({"msg": "%d files", "args": (3,), "levelno": 20, "levelname": "INFO"})
    record.created = datetime(2026, 1, 15, 12, 1, 3, tzinfo=UTC).timestamp()

    with correlate("3f2a9c1e77aa"):
        logging.getLogger().handle(record)

    assert stream.getvalue() == "12:01:03 INFO  [3f2a9c1e] 3 files\n"


def test_outside_of_a_run_a_line_has_no_id() -> None:
    assert logged("hello").endswith(" INFO  hello\n")


def test_a_json_line_holds_what_a_machine_asks_for() -> None:
    with correlate("abc"):
        entry = json.loads(
            logged("%s sent", "a.csv", json_lines=True, extra={"batch": 7, "ratio": float("nan")})
        )

    assert datetime.fromisoformat(entry.pop("ts")).tzinfo is not None
    assert entry == {
        "level": "INFO",
        "logger": "fc_connect.test",
        "message": "a.csv sent",
        "correlation_id": "abc",
        "batch": 7,
        "ratio": "nan",
    }


@pytest.mark.parametrize("json_lines", [False, True])
def test_an_exception_is_shown_without_its_secret(json_lines: bool) -> None:
    stream = io.StringIO()
    configure_logging(level="info", json=json_lines, stream=stream)

    try:
        raise RuntimeError("login failed with password=hunter2hunter2")
    except RuntimeError:
        logger.exception("no luck")

    assert "RuntimeError: login failed with password=***" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert not json_lines or json.loads(stream.getvalue())["message"] == "no luck"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-s3cr3t",
        "{'Authorization': 'Bearer s3cr3t-s3cr3t'}",
        "client_secret=s3cr3t-s3cr3t&grant_type=password",
        "POST body: client_id=a&client_secret=s3cr3t-s3cr3t",
        '{"clientSecret": "s3cr3t-s3cr3t", "x": 1}',
        '{"password":"s3cr3t s3cr3t, s3cr3t"}',
        'a body in a body: {\\"access_token\\":\\"s3cr3t-s3cr3t\\"}',
        "FLUENT_PASSWORD=s3cr3t-s3cr3t",
        "redis://user:s3cr3t-s3cr3t@host:6379/0",
        "redis://:s3cr3t-s3cr3t@host:6379/0",
        "aws_secret_access_key = s3cr3t-s3cr3t",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    masked = mask_secrets(text)

    assert "s3cr3t" not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "12 files, 3 batches sent to https://account.api.fluentretail.com/api/v4.1/job",
        "the password is missing: set it",
        "token renewed; valid for 14399 s",
        "the basic checks passed",
        "s3://bucket/a:b@c.csv",
    ],
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert mask_secrets(text) == text


@given(st.dictionaries(st.text(max_size=8), st.text() | st.floats() | st.none(), max_size=4), st.text())
def test_every_json_entry_is_one_line_of_json(extra: dict[str, Any], message: str) -> None:
    line = logged("%s", message, json_lines=True, extra={f"x_{name}": value for name, value in extra.items()})

    assert line.count("\n") == 1
    assert set(json.loads(line)) >= {"ts", "level", "logger", "message", "correlation_id"}


def test_an_extra_field_named_like_a_secret_is_masked() -> None:
    extra = {"client_secret": "hunter2", "headers": {"password": "hunter2", "accept": "x"}}

    entry = json.loads(logged("call", json_lines=True, extra=extra))

    assert entry["client_secret"] == "***"
    assert entry["headers"] == {"password": "***", "accept": "x"}


def test_a_file_name_cannot_pose_as_another_entry() -> None:
    line = logged("%s: done", "evil\n12:00:00 ERROR gone\x1b[2J.csv")

    assert line.splitlines()[1].startswith("    ")
    assert "\x1b" not in line


def test_a_name_that_is_not_utf8_can_be_written() -> None:
    for json_lines in (False, True):
        line = logged("%s", b"caf\xe9.csv".decode("utf-8", "surrogateescape"), json_lines=json_lines)

        assert "caf\\udce9.csv" in line.encode("utf-8").decode()


def test_configuring_twice_writes_each_line_once() -> None:
    first = io.StringIO()
    configure_logging(level="info", stream=first)

    assert logged("once").count("once") == 1
    assert first.getvalue() == ""


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no log level 'loud'"):
        configure_logging(level="loud", stream=io.StringIO())


def test_lines_with_headers_of_requests_are_never_shown() -> None:
    stream = io.StringIO()
    configure_logging(level="debug", stream=stream)

    logging.getLogger("httpcore.http11").debug("send_request_headers …")
    logging.getLogger("botocore.auth").debug("Signature …")
    logger.debug("ours")

    assert stream.getvalue().count("\n") == 1
