"""S3: the suite of all sources against a real HTTP server, and what only a store over a network can do wrong."""

from __future__ import annotations

import io
import pickle
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpchecksum import Crc32Checksum, StreamingChecksumBody

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources import Source, open_source
from fc_connect.sources.s3 import S3Source
from fc_connect.sources.s3_reader import ObjectReader
from fc_connect.testing.source import SourceConformance, content_of
from tests.s3_server import SECRET, Proxy, bucket, connect, running


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from running()


@pytest.fixture
def admin(endpoint: str) -> Iterator[Any]:
    yield from bucket(endpoint)


@pytest.fixture
def source(endpoint: str, admin: Any) -> Iterator[S3Source]:
    with connect(endpoint) as source:
        yield source


class TestS3Source(SourceConformance):
    @pytest.fixture
    def source(self, endpoint: str, admin: Any) -> Iterator[Source]:
        with connect(endpoint) as source:
            yield source


class TestS3SourceAtTheRootOfABucketWithVersions(SourceConformance):
    @pytest.fixture
    def source(self, endpoint: str) -> Iterator[Source]:
        for _ in bucket(endpoint, "versions", versions=True):
            with connect(endpoint, "s3://versions") as source:
                yield source


class TestS3SourceThatTellsVersions(SourceConformance):
    @pytest.fixture
    def source(self, endpoint: str) -> Iterator[Source]:
        for _ in bucket(endpoint, "versions", versions=True):
            with connect(endpoint, "s3://versions/data", versions=True) as source:
                yield source

    def test_opening_a_replaced_file_is_refused(self, source: Source) -> None:
        """Not here: the store still has the version that was listed."""
        listed = source.write("a.csv", b"one")
        source.write("a.csv", b"other content", overwrite=True)

        assert content_of(source, listed) == b"one"

    def test_opening_a_removed_file_is_refused(self, source: Source) -> None:
        """Not here, likewise."""
        listed = source.write("a.csv", b"one")
        source.delete("a.csv")

        assert content_of(source, listed) == b"one"


class TestS3SourceInParts(SourceConformance):
    """Every object uploaded, copied and moved in parts, as those of many gigabytes are."""

    @pytest.fixture
    def source(self, endpoint: str, admin: Any) -> Iterator[Source]:
        with connect(endpoint) as given:
            yield S3Source("inbox", "data/", given._client, part_bytes=5 * 1024 * 1024, max_copy_bytes=2)


# Listing


def test_a_listing_goes_on_past_the_first_page(source: S3Source, admin: Any) -> None:
    names = [f"{number:04}.csv" for number in range(1_050)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: admin.put_object(Bucket="inbox", Key=f"data/{name}", Body=b"1"), names))

    assert [file.path for file in source.list("*.csv")] == names


def test_folder_markers_and_other_prefixes_are_left_out(source: S3Source, admin: Any) -> None:
    for key in ("data/", "data/sub/", "data/a.csv", "data2/b.csv", "database.csv", "data/sub/c.csv"):
        admin.put_object(Bucket="inbox", Key=key, Body=b"")

    assert [file.path for file in source.list("**/*")] == ["a.csv", "sub/c.csv"]


@pytest.mark.parametrize("pattern", ["*.csv", "**/*.csv"])
def test_one_odd_key_does_not_keep_the_others_from_being_listed(
    source: S3Source, admin: Any, caplog: pytest.LogCaptureFixture, pattern: str
) -> None:
    for key in ("data//b.csv", "data/a.csv", "data/c.csv"):
        admin.put_object(Bucket="inbox", Key=key, Body=b"1")

    listed = [file.path for file in source.list(pattern)]

    assert listed == ["a.csv", "c.csv"]
    assert "left out" in caplog.text
    assert "//" in caplog.text.replace("s3://", "")


def test_an_odd_key_that_would_not_match_is_no_concern(
    source: S3Source, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("data/x//b.txt", "data/x/a.csv", "data2//b.csv"):
        admin.put_object(Bucket="inbox", Key=key, Body=b"1")

    assert [file.path for file in source.list("**/*.csv")] == ["x/a.csv"]
    assert not caplog.messages


def test_only_keys_that_can_match_are_asked_for(source: S3Source) -> None:
    asked: list[dict[str, Any]] = []
    source._client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: asked.append(dict(params))
    )

    for pattern in ("2026/stock-*.csv", "**/*.csv", "{in,im}/*"):
        list(source.list(pattern))

    assert [(each["Prefix"], each.get("Delimiter")) for each in asked] == [
        ("data/2026/stock-", "/"),
        ("data/", None),
        ("data/i", None),
    ]


def test_a_page_cut_off_without_a_token_is_refused(source: S3Source) -> None:
    def cut(parsed: dict[str, Any], **_: Any) -> None:
        parsed["IsTruncated"] = True
        parsed.pop("NextContinuationToken", None)

    source._client.meta.events.register("after-call.s3.ListObjectsV2", cut)

    with pytest.raises(SourceError, match="cut the listing off"):
        list(source.list())


# Reading through a network that breaks


@pytest.fixture
def proxy(endpoint: str) -> Iterator[Proxy]:
    proxy = Proxy(endpoint)
    yield proxy
    proxy.close()


def through(proxy: Proxy) -> S3Source:
    return S3Source("inbox", "data/", connect(proxy.url)._client, clock=ManualClock())


CONTENT = bytes(range(256)) * 8_000


def test_a_broken_read_goes_on_where_it_broke(source: S3Source, proxy: Proxy) -> None:
    file = source.write("a.csv", CONTENT)
    proxy.cut_after, proxy.cuts = 300_000, 4

    with through(proxy) as fragile:
        content = content_of(fragile, file)

    assert content == CONTENT
    assert proxy.cuts == 0
    assert proxy.connections == 5


def test_a_broken_read_never_goes_on_in_another_version(source: S3Source, proxy: Proxy) -> None:
    file = source.write("a.csv", CONTENT)
    proxy.cut_after, proxy.cuts = 300_000, 1

    with through(proxy) as fragile, fragile.open(file) as stream:
        stream.read(1000)
        source.write("a.csv", CONTENT[::-1], overwrite=True)
        with pytest.raises(FileChangedError, match="was replaced"):
            stream.read()


def test_reading_is_given_up_when_nothing_comes_any_more(source: S3Source, proxy: Proxy) -> None:
    file = source.write("a.csv", CONTENT)
    proxy.cut_after, proxy.cuts = (
        300_000,
        1000,
    )  # before it is opened: all of it fits into the buffers of a socket

    with through(proxy) as fragile, fragile.open(file) as stream:
        stream.read(1000)
        proxy.cut_after = 0
        with pytest.raises(SourceUnavailableError, match="broke off"):
            stream.read()


def test_an_answer_of_another_length_is_not_taken_for_the_file(source: S3Source) -> None:
    file = source.write("a.csv", b"content")

    with pytest.raises(FileChangedError, match="answered with 7 bytes"):
        source.open(replace(file, size=6))


def test_a_file_named_without_its_etag_is_told_by_size_and_time(source: S3Source) -> None:
    file = source.write("a.csv", b"content")

    assert content_of(source, replace(file, etag=None)) == b"content"
    assert source.move(replace(file, etag=None), "b.csv") == "b.csv"
    with pytest.raises(FileChangedError):
        source.open(
            replace(file, path="b.csv", etag=None, last_modified=file.last_modified - timedelta(days=1))
        )


def test_content_that_was_damaged_on_its_way_is_refused(source: S3Source) -> None:
    file = source.write("a.csv", b"content")

    def damaged(start: int) -> StreamingChecksumBody:
        return StreamingChecksumBody(io.BytesIO(b"c0ntent"), 7, Crc32Checksum(), "AAAAAA==")

    reader = ObjectReader(file, damaged, url="s3://inbox/data/a.csv", clock=ManualClock(), random=Random(1))

    with io.BufferedReader(reader) as stream, pytest.raises(SourceUnavailableError, match="checksum"):
        stream.read()


# Writing and moving


def test_a_large_file_is_written_in_parts_and_moved_with_its_metadata(source: S3Source, admin: Any) -> None:
    content = CONTENT * 6
    in_parts = S3Source("inbox", "data/", source._client, part_bytes=5 * 1024 * 1024, max_copy_bytes=1024)

    file = in_parts.write("big.bin", io.BytesIO(content))
    path = in_parts.move(file, "done/big.bin")

    moved = in_parts.stat(path)
    assert file.etag is not None
    assert file.etag.endswith("-3")
    assert moved is not None
    assert content_of(in_parts, moved) == content


def test_a_failed_upload_leaves_no_parts(source: S3Source, admin: Any) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 6_000_000:
                raise EOFError("the sender went away")
            return super().read(min(size or 0, 1_000_000))

    in_parts = S3Source("inbox", "data/", source._client, part_bytes=5 * 1024 * 1024)

    with pytest.raises(EOFError):
        in_parts.write("big.bin", Breaking(b"x" * 12_000_000))

    assert "Uploads" not in admin.list_multipart_uploads(Bucket="inbox")
    assert source.stat("big.bin") is None


def test_a_move_keeps_type_and_metadata(source: S3Source, admin: Any) -> None:
    admin.put_object(
        Bucket="inbox", Key="data/a.csv", Body=b"1", ContentType="text/csv", Metadata={"sender": "WMS"}
    )
    (file,) = source.list()

    source.move(file, "done/a.csv")

    head = admin.head_object(Bucket="inbox", Key="data/done/a.csv")
    assert head["ContentType"] == "text/csv"
    assert head["Metadata"]["sender"] == "WMS"


def test_an_answer_lost_after_the_write_is_no_failure(source: S3Source, proxy: Proxy) -> None:
    with connect(proxy.url, max_attempts=3) as fragile:
        seen = threading.Event()

        def lose_the_answer(**_: Any) -> None:
            if not seen.is_set():
                seen.set()
                proxy.cut_after, proxy.cuts = 0, 1

        fragile._client.meta.events.register("before-send.s3.PutObject", lose_the_answer)
        file = fragile.write("a.csv", b"content")

    assert seen.is_set()
    assert proxy.cuts == 0
    assert content_of(source, file) == b"content"


def test_a_name_taken_in_the_last_instant_is_not_overwritten(source: S3Source, admin: Any) -> None:
    def overtake(**_: Any) -> None:
        admin.put_object(Bucket="inbox", Key="data/a.csv", Body=b"theirs")

    source._client.meta.events.register_first("before-send.s3.PutObject", overtake)

    with pytest.raises(SourceError, match="exists already"):
        source.write("a.csv", b"ours")

    assert admin.get_object(Bucket="inbox", Key="data/a.csv")["Body"].read() == b"theirs"


def test_a_version_that_arrives_during_a_move_stays(source: S3Source, admin: Any) -> None:
    file = source.write("a.csv", b"one")

    def overtake(**_: Any) -> None:
        admin.put_object(Bucket="inbox", Key="data/a.csv", Body=b"newer")

    source._client.meta.events.register("after-call.s3.CopyObject", overtake)

    with pytest.raises(FileChangedError, match="the new version stays"):
        source.move(file, "done/a.csv")

    assert admin.get_object(Bucket="inbox", Key="data/a.csv")["Body"].read() == b"newer"
    assert admin.get_object(Bucket="inbox", Key="data/done/a.csv")["Body"].read() == b"one"


@pytest.mark.parametrize("keeps_conditions", [True, False])
def test_a_version_that_arrives_before_the_copy_stays(
    source: S3Source, admin: Any, keeps_conditions: bool
) -> None:
    file = source.write("a.csv", b"one")

    def overtake(**_: Any) -> Any:
        admin.put_object(Bucket="inbox", Key="data/a.csv", Body=b"newer")
        return refused_condition() if keeps_conditions else None  # the server at hand ignores this one

    source._client.meta.events.register("before-call.s3.CopyObject", overtake)

    with pytest.raises(FileChangedError, match="was replaced while it was moved"):
        source.move(file, "done/a.csv")

    assert admin.get_object(Bucket="inbox", Key="data/a.csv")["Body"].read() == b"newer"
    assert source.stat("done/a-1.csv") is None


def test_a_name_taken_during_a_move_is_passed_over(source: S3Source, admin: Any) -> None:
    file = source.write("a.csv", b"one")
    overtaken = threading.Event()

    def overtake(**_: Any) -> Any:
        if overtaken.is_set():
            return None
        overtaken.set()
        admin.put_object(Bucket="inbox", Key="data/done/a.csv", Body=b"theirs")
        return refused_condition()

    source._client.meta.events.register("before-call.s3.CopyObject", overtake)

    path = source.move(file, "done/a.csv")

    assert path == "done/a-1.csv"
    assert admin.get_object(Bucket="inbox", Key="data/done/a.csv")["Body"].read() == b"theirs"
    assert admin.get_object(Bucket="inbox", Key="data/done/a-1.csv")["Body"].read() == b"one"


def refused_condition() -> tuple[Any, dict[str, Any]]:
    """Answer in place of the server, as Amazon does where a condition doesn't hold."""
    error = {"Code": "PreconditionFailed", "Message": "At least one of the pre-conditions did not hold"}
    return AWSResponse("", 412, HTTPHeaders(), None), {
        "Error": error,
        "ResponseMetadata": {"HTTPStatusCode": 412},
    }


def test_conditions_that_a_store_does_not_know_are_left_out(source: S3Source, admin: Any) -> None:
    refused: list[str] = []

    def know_none(model: Any, params: dict[str, Any], **_: Any) -> Any:
        if {"If-None-Match", "If-Match"} & set(params["headers"]):
            refused.append(model.name)
            error = {"Code": "NotImplemented", "Message": "A header you provided isn't implemented"}
            return AWSResponse("", 501, HTTPHeaders(), None), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 501},
            }
        return None

    for operation in ("PutObject", "CopyObject", "DeleteObject"):
        source._client.meta.events.register(f"before-call.s3.{operation}", know_none)

    file = source.write("a.csv", b"one")
    source.move(file, "done/a.csv")

    assert refused == ["PutObject", "CopyObject", "DeleteObject"]
    assert [each.path for each in source.list("**/*")] == ["done/a.csv"]
    with pytest.raises(SourceError, match="exists"):
        source.write("done/a.csv", b"two")


# Faults that a person must mend


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("AccessDenied", 403, SourceError, "s3:ListBucket"),
        ("InvalidAccessKeyId", 403, SourceError, "credentials were refused"),
        ("SignatureDoesNotMatch", 403, SourceError, "secret_access_key"),
        ("ExpiredToken", 400, SourceError, "have expired"),
        ("PermanentRedirect", 301, SourceError, "another region"),
        ("InvalidObjectState", 403, SourceError, "Restore it"),
        ("SomethingNew", 418, SourceError, "SomethingNew it says"),
        ("SlowDown", 503, SourceUnavailableError, "SlowDown"),
        ("InternalError", 500, SourceUnavailableError, "refused for now"),
        ("TooManyRequests", 429, SourceUnavailableError, "refused for now"),
    ],
)
def test_each_refusal_says_what_to_do(
    source: S3Source, code: str, status: int, error: type[SourceError], words: str
) -> None:
    def refuse(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        http_response.status_code = status
        parsed["Error"] = {"Code": code, "Message": "it says"}
        parsed["ResponseMetadata"]["HTTPStatusCode"] = status

    source._client.meta.events.register("after-call.s3.ListObjectsV2", refuse)

    with pytest.raises(error, match=words) as caught:
        list(source.list())

    assert caught.type is error
    assert "Can't list s3://inbox/data/" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_bucket_is_named(endpoint: str, admin: Any) -> None:
    with connect(endpoint, "s3://nowhere/data") as source:
        with pytest.raises(SourceError, match=r"s3://nowhere/data/: There is no such bucket"):
            list(source.list())
        with pytest.raises(SourceError, match="no such bucket"):
            source.write("a.csv", b"1")


def test_a_store_that_is_away_may_come_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    with (
        connect(f"http://127.0.0.1:{port}") as source,
        pytest.raises(SourceUnavailableError, match="Check endpoint_url"),
    ):
        list(source.list())


def test_missing_credentials_are_asked_for(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with (
        open_source("s3://inbox/data/", endpoint_url=endpoint) as source,
        pytest.raises(SourceError, match="no usable credentials"),
    ):
        list(source.list())


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("s3://", {}, "names no bucket"),
        ("s3:///data/", {}, "names no bucket"),
        (f"s3://AKIA:{SECRET.replace('/', '')}@inbox/", {}, "names no bucket"),
        ("s3://inbox", {"access_key_id": "AKIA"}, "go together"),
        ("s3://inbox", {"secret_access_key": SECRET}, "go together"),
        ("s3://inbox", {"profile": "no-such-profile"}, "no-such-profile"),
        ("s3://inbox", {"endpoint_url": "localhost:9000"}, "localhost"),
        ("s3://inbox", {"endpoint_url": f"http://me:{SECRET}@localhost"}, "holds a user or password"),
        ("s3://inbox", {"colour": "red"}, "no option 'colour'. Known: .*endpoint_url"),
    ],
)
def test_what_cannot_be_opened_is_explained(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_source(url, **options)

    assert SECRET not in str(caught.value)
    assert SECRET.replace("/", "") not in str(caught.value)


def test_secrets_are_neither_shown_nor_part_of_the_url(source: S3Source) -> None:
    with pytest.raises(SourceError) as error:
        source.write("../x", b"")

    assert repr(source) == "S3Source('s3://inbox/data/')"
    assert source.url == "s3://inbox/data/"
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
