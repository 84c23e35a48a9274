"""A prefix of a bucket on Amazon S3, or on a store that speaks its API (MinIO, Ceph, R2, …)."""

from __future__ import annotations

import io
import logging
import random
import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import ConfigurationError, SourceError
from fc_connect.sources.access import check_access
from fc_connect.sources.base import Access, SourceFile
from fc_connect.sources.paths import PARTIAL_MARK, PathPattern, checked_path, tidied
from fc_connect.sources.s3_errors import code_of, mapped_errors, status_of
from fc_connect.sources.s3_move import ObjectMove
from fc_connect.sources.s3_reader import ObjectReader, changed
from fc_connect.sources.s3_upload import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Source"]

logger = logging.getLogger(__name__)

_BUFFER: Final = 1 << 18


class S3Source:
    """Objects below one prefix. Safe to share between threads.

    A version of an object is told by its etag. Objects whose key ends with `/` (the folders that some tools
    make) are left out. A key with `//`, `.` or `..` between slashes can't be told apart on every kind of source:
    a listing leaves it out with a warning, anything else refuses it. Nothing is asked of the store before the
    first call.

    `write` without `overwrite` and `move` rely on the store's conditional requests (`If-None-Match`), besides a
    look beforehand. Where a store ignores these, two processes that create one name in the same instant may both
    succeed; threads of one source never do.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        client: S3Client,
        *,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
        part_bytes: int = 16 * 1024 * 1024,
        max_copy_bytes: int = 5 * 1024**3,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client = client
        self._clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self._part_bytes = part_bytes  # times 10,000 parts: 156 GiB
        self._max_copy_bytes = max_copy_bytes
        self._naming = threading.Lock()  # held while a new name is looked at and taken
        self.url = f"s3://{bucket}/{prefix}"

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        profile: str | None = None,
        path_style: bool | None = None,
        timeout: timedelta = timedelta(seconds=60),
        max_attempts: int = 5,
    ) -> Self:
        """Take `s3://bucket/prefix/`; the prefix is a folder, with or without its last slash.

        Without keys, the usual places are asked: environment, profile, role. `timeout` is for each answer
        and each part of it; passing faults are tried again, `max_attempts` in all.

        Raises:
            ConfigurationError: the URL names no bucket, or the options don't go together.
        """
        bucket, prefix = _bucket_and_prefix(url)
        if (access_key_id is None) != (secret_access_key is None):
            raise ConfigurationError("access_key_id and secret_access_key go together: set both or neither.")
        if endpoint_url is not None and "@" in endpoint_url:
            raise ConfigurationError(
                "endpoint_url holds a user or password: use access_key_id and secret_access_key."
            )
        # Newer checksums are asked only of Amazon: many other stores refuse them.
        checksums: Any = "when_supported" if endpoint_url is None else "when_required"
        config = Config(
            retries={"mode": "standard", "total_max_attempts": max_attempts},
            connect_timeout=min(10.0, timeout.total_seconds()),
            read_timeout=timeout.total_seconds(),
            max_pool_connections=32,
            s3={"addressing_style": "path" if path_style else "auto"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            user_agent_extra="fc-connect",
        )
        try:
            session = boto3.Session(
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                aws_session_token=session_token,
                region_name=region,
                profile_name=profile,
            )
            if not session.region_name and endpoint_url is not None:
                region = "us-east-1"  # what stores that know no regions expect in a signature
            client = session.client("s3", endpoint_url=endpoint_url, region_name=region, config=config)
        except (BotoCoreError, ValueError) as exc:
            raise ConfigurationError(f"The source s3://{bucket}/{prefix} can't be opened: {exc}") from exc
        return cls(bucket, prefix, client)

    def __repr__(self) -> str:
        return f"S3Source({self.url!r})"

    # Reading

    def list(self, pattern: str = "*") -> Iterator[SourceFile]:
        """Yield the files that match, in the order of their paths, asking for a page at a time.

        Only keys that begin as the pattern does are asked for. Modified times are as fine as the store's
        listing tells them: whole seconds at Amazon.

        Raises:
            ConfigurationError: the pattern can't be read.
            SourceError: no such bucket, access denied, wrong credentials or region.
            SourceUnavailableError: the store can't be reached, or is too busy.
        """
        return self._listed(PathPattern.compiled(pattern))

    def _listed(self, pattern: PathPattern) -> Iterator[SourceFile]:
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + pattern.prefix}
        if pattern.max_depth == pattern.prefix.count("/"):
            request["Delimiter"] = "/"  # one folder: an archive below it may hold millions of keys
        while True:
            with mapped_errors(f"list {self.url}"):
                page = self._client.list_objects_v2(**request)
            for item in page.get("Contents", ()):
                path = item["Key"].removeprefix(self._prefix)
                if path and not path.endswith("/") and self._is_listed(path, pattern):
                    yield SourceFile(
                        path=path,
                        size=item["Size"],
                        last_modified=item["LastModified"].astimezone(UTC),
                        etag=item["ETag"].strip('"'),
                    )
            for folder in page.get("CommonPrefixes", ()):
                if f"/{folder['Prefix']}".endswith("//"):
                    logger.warning(
                        "s3://%s/: keys that begin with %r are left out: a path can't have an empty part. Rename them.",
                        self._bucket,
                        folder["Prefix"],
                    )
            if not page.get("IsTruncated"):
                return
            if not page.get("NextContinuationToken"):
                # To go on without it would begin anew for ever; to stop would lose files.
                raise SourceError(
                    f"Can't list {self.url}: the store cut the listing off without saying how to go on."
                )
            request["ContinuationToken"] = page["NextContinuationToken"]

    def _is_listed(self, path: str, pattern: PathPattern) -> bool:
        is_odd = "//" in path or path.startswith("/") or "/." in f"/{path}"
        if not pattern.matches(tidied(path) if is_odd else path):
            return False
        try:
            checked_path(path)
        except SourceError as exc:
            logger.warning("%s: left out of the listing: %s", self.url, exc)
            return False
        return True

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none (or no bucket: HEAD doesn't tell)."""
        head = self._head(path)
        return None if head is None else _as_file(path, head)

    def exists(self, path: str) -> bool:
        """Say whether there is a file; raises as `stat` does where that can't be told."""
        return self.stat(path) is not None

    def open(self, file: SourceFile) -> BinaryIO:
        """Open the listed version; a broken connection is resumed where it broke, in the same version.

        Raises (here or from a later read):
            FileChangedError: the object was replaced or removed since it was listed.
            SourceError: access denied, or it must be restored from an archive first.
            SourceUnavailableError: the store can't be reached, or broke off again and again.
        """
        url = self.url + checked_path(file.path)
        etag = file.etag or self._etag_of(file)

        def request(start: int) -> Any:
            return self._get(file, etag, start)

        reader = ObjectReader(file, request, url=url, clock=self._clock, random=self._random)
        return io.BufferedReader(reader, _BUFFER)

    # Writing

    def write(self, path: str, content: BinaryIO | bytes, *, overwrite: bool = False) -> SourceFile:
        """Write an object, in parts where it is large; it appears as a whole or not at all.

        Raises:
            SourceError: it exists and `overwrite` is off; access denied; no such bucket.
        """
        upload = Upload(
            self._client, self._bucket, self._key(path), url=self.url + path, part_bytes=self._part_bytes
        )
        if not overwrite and self._head(path) is not None:
            raise upload.exists()  # before anything large is sent; the real check comes with the naming
        upload.send(io.BytesIO(content) if isinstance(content, bytes) else content)
        try:
            if overwrite:
                upload.publish(overwrite=True)
            else:
                with self._naming:
                    if self._head(path) is not None:
                        raise upload.exists()
                    upload.publish(overwrite=False)
        except BaseException:
            upload.abandon()
            raise
        written = self.stat(path)
        if written is None:
            raise SourceError(f"{self.url}{path} was written, and removed by someone else right after.")
        return written

    def move(self, file: SourceFile, destination: str) -> str:
        """Move the listed version to `destination` or a numbered name beside it; return the path taken.

        A copy inside the store, checked, then removed under its old name if it is still the listed version.
        The copy keeps type and metadata, and bears a mark of what it was made from (`fc-connect-moved`), by
        which a move that a crash cut off is recognised and finished.

        Raises:
            FileChangedError: the object isn't the listed version any more; the newer one stays.
            SourceError: access denied.
        """
        move = self._placing(file)
        self._key(destination)
        with self._naming:
            path = move.place(destination)
        move.remove_origin()
        return path

    def copy(self, file: SourceFile, destination: str) -> str:
        """Copy the listed version to `destination` or a numbered name beside it; return the path taken.

        Inside the store, and marked as a move is: copying again makes no second copy.

        Raises:
            FileChangedError: the object isn't the listed version any more.
            SourceError: access denied.
        """
        copy = self._placing(file)
        self._key(destination)
        with self._naming:
            return copy.place(destination)

    def delete(self, path: str) -> None:
        """Remove a file; an absent one is no fault. A bucket with versions keeps the old ones."""
        with mapped_errors(f"delete {self.url}{path}"):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(path))

    def check(self, *, writes: bool = True) -> tuple[Access, ...]:
        """Say what may be done here. No object is made: an upload is begun and abandoned, and nobody is told."""
        return check_access(self, writes=writes, write=self._check_writing)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Parts

    def _key(self, path: str) -> str:
        return self._prefix + checked_path(path)

    def _check_writing(self) -> str:
        path = f".check.{secrets.token_hex(6)}{PARTIAL_MARK}"
        where: Any = {"Bucket": self._bucket, "Key": self._key(path)}
        with mapped_errors(f"write to {self.url}"):
            begun = self._client.create_multipart_upload(**where)
            self._client.abort_multipart_upload(**where, UploadId=begun["UploadId"])
        with mapped_errors(f"remove from {self.url}"):
            try:
                # A condition that nothing fulfils: a plain removal leaves a mark in a bucket with versions.
                made = self._client.delete_object(**where, IfMatch='"none"')
            except ClientError as exc:
                if status_of(exc) not in {404, 412} and code_of(exc) != "NotImplemented":
                    raise
            else:
                if made.get("DeleteMarker") and made.get("VersionId"):  # a store that ignores conditions
                    self._client.delete_object(**where, VersionId=made["VersionId"])
        return "an upload was begun and abandoned, and a removal would be allowed"

    def _placing(self, file: SourceFile) -> ObjectMove:
        if file.etag is None:
            file = replace(file, etag=self._etag_of(file))
        return ObjectMove(
            self._client,
            self._bucket,
            self._prefix,
            file,
            url=self.url,
            head=self._head,
            max_copy_bytes=self._max_copy_bytes,
        )

    def _head(self, path: str) -> Any | None:
        with mapped_errors(f"look at {self.url}{path}"):
            try:
                return self._client.head_object(Bucket=self._bucket, Key=self._key(path))
            except ClientError as exc:
                if status_of(exc) == 404:
                    return None
                raise

    def _etag_of(self, file: SourceFile) -> str:
        """Find the etag of a file that was named without one, if size and time fit."""
        head = self._head(file.path)
        if head is None:
            raise changed(file, "is gone")
        found = _as_file(file.path, head)
        same_second = found.last_modified.replace(microsecond=0) == file.last_modified.replace(microsecond=0)
        if found.size != file.size or not same_second:
            raise changed(file, "was replaced")
        return found.etag or ""

    def _get(self, file: SourceFile, etag: str, start: int) -> Any:
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._key(file.path),
            "IfMatch": f'"{etag}"',
        }
        if file.version_id is not None:
            request["VersionId"] = file.version_id
        if start:
            request["Range"] = f"bytes={start}-"
        with mapped_errors(f"read {self.url}{file.path}"):
            try:
                answer = self._client.get_object(**request)
            except ClientError as exc:
                code, status = code_of(exc), status_of(exc)
                if status in {412, 416} or code in {"NoSuchKey", "NoSuchVersion", "404"}:
                    raise changed(file, "was replaced" if status != 404 else "is gone") from exc
                raise
        # A store may ignore Range or If-Match; bytes from elsewhere must not get into the stream.
        if answer["ContentLength"] != file.size - start or answer["ETag"].strip('"') != etag:
            answer["Body"].close()
            raise changed(file, f"answered with {answer['ContentLength']} bytes from byte {start} on")
        return answer["Body"]


def _bucket_and_prefix(url: str) -> tuple[str, str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    is_odd = ":" in bucket and not bucket.startswith(
        "arn:"
    )  # as in s3://key:secret@bucket, the secret with a slash
    if "@" in bucket or is_odd or not bucket or url == bucket:
        shown = "s3://…@…" if "@" in bucket or is_odd else url
        raise ConfigurationError(
            f"{shown!r} names no bucket: write s3://bucket/prefix/, keys go into options."
        )
    try:
        url.encode()
    except UnicodeEncodeError as exc:
        raise ConfigurationError(f"{url!r} names no bucket: it holds half a surrogate pair.") from exc
    prefix = prefix.lstrip("/")
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


def _as_file(path: str, head: Any) -> SourceFile:
    # Without the version's id: listings don't tell it, and one file must look alike however it was found.
    return SourceFile(
        path=path,
        size=head["ContentLength"],
        last_modified=head["LastModified"].astimezone(UTC),
        etag=head["ETag"].strip('"'),
    )
