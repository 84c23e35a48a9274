"""S3's options: roles, encryption, versions, rights, presigned URLs, and transfers that stall."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.sts.models import STSBackend

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources import open_source
from fc_connect.sources.s3 import S3Source
from fc_connect.testing.source import content_of
from tests.s3_server import SECRET, Proxy, bucket, connect, running


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from running()


@pytest.fixture
def admin(endpoint: str) -> Iterator[Any]:
    yield from bucket(endpoint)


@pytest.fixture
def versioned(endpoint: str) -> Iterator[Any]:
    yield from bucket(endpoint, "versions", versions=True)


# Roles


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """Run a server that says the same to everyone."""

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815 - as the server calls them

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


ROLE = "arn:aws:iam::123456789012:role/stock-reader"


def with_role(endpoint: str, **options: Any) -> S3Source:
    return connect(endpoint, region="us-east-1", role_arn=ROLE, **options)


def credentials_of(source: S3Source) -> Any:
    return source._client._request_signer._credentials  # type: ignore[attr-defined]


def test_a_role_is_taken_on_for_the_first_request(
    endpoint: str, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
    admin.put_object(Bucket="inbox", Key="data/a.csv", Body=b"1")

    with with_role(endpoint, external_id="shop-7", role_session_name="nightly") as source:
        listed = [file.path for file in source.list()]
        frozen = credentials_of(source).get_frozen_credentials()

    assert listed == ["a.csv"]
    assert frozen.access_key != "AKIAEXAMPLE"
    assert frozen.token


def test_a_role_is_taken_on_again_before_it_expires(
    endpoint: str, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
    give = STSBackend.assume_role

    def give_for_five_minutes(*args: Any, **options: Any) -> Any:
        return give(*args, **{**options, "duration": 300})

    monkeypatch.setattr(STSBackend, "assume_role", give_for_five_minutes)

    with with_role(endpoint) as source:
        keys = {credentials_of(source).get_frozen_credentials().access_key for _ in range(3)}

    assert len(keys) == 3


def test_a_role_that_is_refused_is_named_as_the_fault(
    endpoint: str, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    with answering(403, refusal) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)
        with (
            with_role(endpoint) as source,
            pytest.raises(SourceError, match=r"role can't be taken on .*role_arn and external_id"),
        ):
            list(source.list())


def test_a_role_without_credentials_to_take_it_on_with_is_refused(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ConfigurationError, match="is taken on with credentials, and there are none"):
        open_source("s3://inbox/", endpoint_url=endpoint, role_arn=ROLE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"external_id": "x"}, "set role_arn"),
        ({"sse": "rot13"}, "AES256 or aws:kms, not 'rot13'"),
        ({"kms_key_id": "k"}, "Set both"),
        ({"kms_key_id": "k", "sse": "AES256"}, "Set both"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_source("s3://inbox/", **options)


# Encryption


@pytest.mark.parametrize(
    ("asked", "in_parts"),
    [({"sse": "AES256"}, False), ({"sse": "aws:kms", "kms_key_id": "alias/stock"}, True)],
)
def test_what_is_written_copied_and_moved_is_encrypted_as_asked(
    endpoint: str, admin: Any, asked: dict[str, str], in_parts: bool
) -> None:
    with connect(endpoint, **asked) as given:
        parts = {"part_bytes": 5 * 1024 * 1024, "max_copy_bytes": 2} if in_parts else {}
        source = S3Source(
            "inbox",
            "data/",
            given._client,
            written_with=given._written_with,
            **parts,  # type: ignore[arg-type]
        )
        file = source.write("a.csv", b"x" * (6 * 1024 * 1024 if in_parts else 10))
        paths = ["a.csv", source.copy(file, "kept/a.csv")]
        assert source.check()[-1].is_given
        admin.put_object(Bucket="inbox", Key="data/plain.csv", Body=b"plain")
        (plain,) = source.list("plain.csv")
        paths.append(source.move(plain, "done/plain.csv"))

    heads = [admin.head_object(Bucket="inbox", Key=f"data/{path}") for path in paths]
    assert {head["ServerSideEncryption"] for head in heads} == {asked["sse"]}
    if key := asked.get("kms_key_id"):
        assert {head["SSEKMSKeyId"] for head in heads} == {key}


# Versions


def test_each_upload_is_a_version_of_its_own_even_with_the_same_content(
    endpoint: str, versioned: Any
) -> None:
    with connect(endpoint, "s3://versions/data/", versions=True) as source:
        first = source.write("a.csv", b"same")
        second = source.write("a.csv", b"same", overwrite=True)

        assert first.etag == second.etag
        assert first.version_id != second.version_id
        assert list(source.list()) == [second]
        assert source.stat("a.csv") == second
        with pytest.raises(FileChangedError, match="was replaced"):
            source.move(first, "done/a.csv")
        assert source.move(second, "done/a.csv") == "done/a.csv"
        assert [file.path for file in source.list("**/*")] == ["done/a.csv"]


def test_a_listing_of_versions_goes_on_past_the_first_page(endpoint: str, versioned: Any) -> None:
    keys = [f"data/{number:02}.csv" for number in range(25)]
    for key in (*keys, *keys[::2]):
        versioned.put_object(Bucket="versions", Key=key, Body=b"1")
    versioned.delete_object(Bucket="versions", Key=keys[3])
    versioned.put_object(Bucket="versions", Key="data/sub/x.csv", Body=b"1")

    with connect(endpoint, "s3://versions/data/", versions=True) as source:

        def small_pages(params: dict[str, Any], **_: Any) -> None:
            params["MaxKeys"] = 10

        source._client.meta.events.register("provide-client-params.s3.ListObjectVersions", small_pages)
        listed = [f"data/{file.path}" for file in source.list("*.csv")]

    assert listed == [key for key in keys if key != keys[3]]


def test_a_version_that_was_removed_for_good_is_told(endpoint: str, versioned: Any) -> None:
    with connect(endpoint, "s3://versions/data/", versions=True) as source:
        file = source.write("a.csv", b"one")
        versioned.delete_object(Bucket="versions", Key="data/a.csv", VersionId=file.version_id)

        with pytest.raises(FileChangedError, match="is gone"):
            source.open(file)


def test_in_a_bucket_without_versions_the_etag_tells(endpoint: str, admin: Any) -> None:
    with connect(endpoint, versions=True) as source:
        file = source.write("a.csv", b"one")

        assert list(source.list()) == [file]
        assert file.version_id is None
        assert content_of(source, file) == b"one"


def test_a_check_leaves_no_version_and_no_mark_behind(endpoint: str, versioned: Any) -> None:
    with connect(endpoint, "s3://versions/data/") as source:
        assert [each.is_given for each in source.check()] == [True, True, True]

    left = versioned.list_object_versions(Bucket="versions")
    assert [*left.get("Versions", ()), *left.get("DeleteMarkers", ())] == []
    assert "Uploads" not in versioned.list_multipart_uploads(Bucket="versions")


# Rights


def refuse(source: S3Source, *operations: str) -> None:
    """Have the store deny some operations, as it does where the policy lacks them."""

    def deny(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        http_response.status_code = 403
        parsed["Error"] = {"Code": "AccessDenied", "Message": "it says"}
        parsed["ResponseMetadata"]["HTTPStatusCode"] = 403

    for operation in operations:
        source._client.meta.events.register(f"after-call.s3.{operation}", deny)


@pytest.mark.parametrize(
    ("denied", "given"),
    [
        ("ListObjectsV2", [("reachable", True), ("readable", False)]),
        ("GetObject", [("reachable", True), ("readable", False), ("writable", True)]),
        ("CreateMultipartUpload", [("reachable", True), ("readable", True), ("writable", False)]),
        ("DeleteObject", [("reachable", True), ("readable", True), ("writable", False)]),
    ],
)
def test_a_check_says_which_right_is_missing(
    endpoint: str, admin: Any, denied: str, given: list[tuple[str, bool]]
) -> None:
    with connect(endpoint) as source:
        source.write("a.csv", b"1")
        refuse(source, denied)

        found = source.check()

    assert [(each.name, each.is_given) for each in found] == given
    (lacking,) = (each for each in found if not each.is_given)
    assert "Access is denied" in lacking.detail
    assert "s3:DeleteObject" in lacking.detail


def test_a_check_of_a_store_that_is_away_says_so() -> None:
    with connect("http://127.0.0.1:1") as source:
        (found,) = source.check()

    assert (found.name, found.is_given) == ("reachable", False)
    assert "Check endpoint_url" in found.detail


@pytest.mark.parametrize("page", ["<html>Please log in<br></html>", "<html>Please log in</html>"])
def test_a_login_page_is_not_taken_for_an_empty_listing(page: str) -> None:
    with (
        answering(200, page) as portal,
        connect(portal) as source,
        pytest.raises(SourceUnavailableError, match="Can't list"),
    ):
        list(source.list())


def test_a_login_page_is_not_taken_for_credentials(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, "<html>Please log in<br></html>") as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", portal)
        with (
            with_role(endpoint) as source,
            pytest.raises(SourceUnavailableError, match="a proxy or a login page"),
        ):
            list(source.list())


def test_what_may_not_be_looked_at_is_not_taken_for_absent(endpoint: str, admin: Any) -> None:
    with connect(endpoint) as source:
        refuse(source, "HeadObject")

        with pytest.raises(SourceError, match="Access is denied"):
            source.exists("a.csv")


class Raw(io.BytesIO):
    """A body as the driver takes it from the network."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def test_a_copy_that_the_store_answers_with_an_error_and_status_200_is_none(
    endpoint: str, admin: Any
) -> None:
    with connect(endpoint) as source:
        file = source.write("a.csv", b"1")

        def fail_late(request: Any, **_: Any) -> Any:
            error = b"<Error><Code>InternalError</Code><Message>it says</Message></Error>"
            return AWSResponse(request.url, 200, HTTPHeaders(), Raw(error))

        source._client.meta.events.register("before-send.s3.CopyObject", fail_late)

        with pytest.raises(SourceUnavailableError, match="InternalError"):
            source.move(file, "done/a.csv")

        assert source.stat("a.csv") == file
        assert source.stat("done/a.csv") is None


# Presigned URLs


@pytest.mark.parametrize("path", ["a.csv", "Lager/Bestände &amp; mehr+1%.csv"])
def test_a_presigned_url_writes_and_reads_without_credentials(endpoint: str, admin: Any, path: str) -> None:
    with connect(endpoint) as source:
        upload = source.presigned_put(path, expires=timedelta(minutes=5), content_type="text/csv")
        download = source.presigned_get(path, expires=timedelta(minutes=5))

        sent = httpx.put(upload.url, content=b"sku,qty\n", headers=dict(upload.headers))
        got = httpx.get(download.url)

        assert (sent.status_code, upload.headers) == (200, {"Content-Type": "text/csv"})
        assert (got.status_code, got.content) == (200, b"sku,qty\n")
        assert got.headers["content-type"] == "text/csv"
        assert [file.path for file in source.list("**/*")] == [path]


def test_every_header_that_the_sender_must_send_is_signed_and_told(endpoint: str) -> None:
    with connect(endpoint, sse="aws:kms", kms_key_id="alias/stock") as source:
        upload = source.presigned_put("a.csv", expires=timedelta(minutes=5), content_type="text/csv")
        download = source.presigned_get("a.csv", expires=timedelta(minutes=5))

    signed = re.search("X-Amz-SignedHeaders=([^&]+)", upload.url)
    assert signed is not None
    assert {"host", *(name.lower() for name in upload.headers)} == set(signed[1].split("%3B"))
    assert "X-Amz-SignedHeaders=host&" in download.url
    assert download.headers == {}


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=7, seconds=1)])
def test_a_presigned_url_holds_for_seven_days_at_most(endpoint: str, expires: timedelta) -> None:
    with connect(endpoint) as source:
        with pytest.raises(ConfigurationError, match="a second to 7 days"):
            source.presigned_get("a.csv", expires=expires)
        assert "X-Amz-Expires=604800" in source.presigned_get("a.csv", expires=timedelta(days=7)).url


def test_a_presigned_url_is_a_secret_and_leads_nowhere_else(endpoint: str) -> None:
    with connect(endpoint) as source:
        url = source.presigned_get("a.csv", expires=timedelta(minutes=5))

        assert "Signature" not in repr(url)
        assert SECRET not in url.url
        with pytest.raises(SourceError, match="isn't a path below"):
            source.presigned_put("../other/a.csv", expires=timedelta(minutes=5))


# Keys that others trip over


ODD_KEYS = [
    "a&amp;b.csv",
    "a%26b.csv",
    "a+b c.csv",
    "Bestände/Größe 40.csv",
    "Bestände.csv",  # the same letters, put together otherwise
    "漢字/🛒.csv",
    "back\\slash.csv",
    "bell\x07.csv",
    "q'\"<>?#=;:@$,.csv",
]


def test_keys_that_others_trip_over_are_what_they_are(endpoint: str, admin: Any) -> None:
    for key in ODD_KEYS:
        admin.put_object(Bucket="inbox", Key=f"data/{key}", Body=key.encode())

    with connect(endpoint) as source:
        listed = list(source.list("**/*"))
        contents = {file.path: content_of(source, file) for file in listed}
        for file in listed:
            source.move(file, f"done/{file.path}")

        assert contents == {key: key.encode() for key in ODD_KEYS}
        assert [file.path for file in source.list("**/*")] == sorted(f"done/{key}" for key in ODD_KEYS)
        source.delete("done/bell\x07.csv")  # the server at hand can't list its versions


# Transfers that stall


def test_a_transfer_that_stalls_is_resumed_where_it_stood(endpoint: str, admin: Any) -> None:
    content = bytes(range(256)) * 8_000
    with connect(endpoint) as source:
        file = source.write("a.csv", content)
    proxy = Proxy(endpoint)
    proxy.cut_after, proxy.cuts, proxy.stalls = 300_000, 2, True

    with connect(proxy.url, timeout=timedelta(seconds=0.5)) as given:
        slow = S3Source("inbox", "data/", given._client, clock=ManualClock())
        read = content_of(slow, file)
    proxy.close()

    assert read == content
    assert (proxy.cuts, proxy.connections) == (0, 3)


def test_a_same_second_replacement_is_told_by_its_etag(endpoint: str, admin: Any) -> None:
    with connect(endpoint) as source:
        first = source.write("a.csv", b"one")
        second = source.write("a.csv", b"two", overwrite=True)
        same_second = replace(first, last_modified=second.last_modified)

        assert same_second != second
        with pytest.raises(FileChangedError):
            source.open(same_second)
