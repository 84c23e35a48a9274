"""A prefix of a bucket on Amazon S3, or on a store that speaks its API (MinIO, Ceph, R2, …)."""

from __future__ import annotations

import io
import random
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Self

from botocore.exceptions import ClientError

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import SourceError
from fc_connect.sources.access import check_access
from fc_connect.sources.base import Access, SourceFile
from fc_connect.sources.paths import PARTIAL_MARK, PathPattern, checked_path
from fc_connect.sources.s3_connect import bucket_and_prefix, connect, encryption
from fc_connect.sources.s3_errors import code_of, mapped_errors, status_of
from fc_connect.sources.s3_list import list_objects, version_of
from fc_connect.sources.s3_move import ObjectMove
from fc_connect.sources.s3_presign import PresignedURL, presigned
from fc_connect.sources.s3_reader import ObjectReader, changed
from fc_connect.sources.s3_upload import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Source"]

_BUFFER: Final = 1 << 18


class S3Source:
    """Objects below one prefix. Safe to share between threads.

    A version of an object is told by its etag, and with `versions` by the id that a bucket with versions gives it:
    then the listed version is read even after it was replaced, and the same content written again is another
    version. Listing costs more there, as it looks through every version that is kept.

    Objects whose key ends with `/` (the folders that some tools make) are left out. A key with `//`, `.` or `..`
    between slashes can't be told apart on every kind of source: a listing leaves it out with a warning, anything
    else refuses it. Nothing is asked of the store before the first call.

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
        written_with: Mapping[str, Any] | None = None,
        versions: bool = False,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client = client
        self._clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self._part_bytes = part_bytes  # times 10,000 parts: 156 GiB
        self._max_copy_bytes = max_copy_bytes
        self._written_with: dict[str, Any] = dict(written_with or {})
        self._versions = versions
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
        role_arn: str | None = None,
        external_id: str | None = None,
        role_session_name: str | None = None,
        path_style: bool | None = None,
        sse: str | None = None,
        kms_key_id: str | None = None,
        versions: bool = False,
        timeout: timedelta = timedelta(seconds=60),
        max_attempts: int = 5,
    ) -> Self:
        """Take `s3://bucket/prefix/`; the prefix is a folder, with or without its last slash.

        Without keys, the usual places are asked: environment, profile, role of the machine. With `role_arn` that
        role is taken on with them, and again before its credentials expire. `sse` (`AES256` or `aws:kms`) has the
        store encrypt what is written, moved and copied. `timeout` is for each answer and each part of it; passing
        faults are tried again, `max_attempts` in all.

        Raises:
            ConfigurationError: the URL names no bucket, or the options don't go together.
        """
        bucket, prefix = bucket_and_prefix(url)
        written_with = encryption(sse, kms_key_id)
        client = connect(
            f"s3://{bucket}/{prefix}",
            endpoint_url=endpoint_url,
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            profile=profile,
            role_arn=role_arn,
            external_id=external_id,
            role_session_name=role_session_name,
            path_style=path_style,
            timeout=timeout,
            max_attempts=max_attempts,
        )
        return cls(bucket, prefix, client, written_with=written_with, versions=versions)

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
        compiled = PathPattern.compiled(pattern)
        return list_objects(self._client, self._bucket, self._prefix, compiled, versions=self._versions)

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none (or no bucket: HEAD doesn't tell)."""
        head = self._head(path)
        return None if head is None else self._as_file(path, head)

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
            self._client,
            self._bucket,
            self._key(path),
            url=self.url + path,
            part_bytes=self._part_bytes,
            written_with=self._written_with,
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

    def presigned_get(self, path: str, *, expires: timedelta) -> PresignedURL:
        """Return a URL that reads a file as it is when asked for, without credentials, until it expires.

        It holds for seven days at most, and no longer than the credentials it was signed with: those of a role
        often expire within the hour.

        Raises:
            ConfigurationError: `expires` is out of range.
            SourceError: there are no credentials to sign with.
        """
        return self._presigned("GET", path, expires, {})

    def presigned_put(
        self, path: str, *, expires: timedelta, content_type: str | None = None
    ) -> PresignedURL:
        """Return a URL that writes a file, without credentials, until it expires; see `presigned_get`.

        Each use of it overwrites what is there. Host and path are signed, and the `headers` of what is returned:
        the sender has to send them as they are. The content isn't.
        """
        described = {} if content_type is None else {"ContentType": content_type}
        return self._presigned("PUT", path, expires, {**described, **self._written_with})

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

    def _presigned(
        self, method: Literal["GET", "PUT"], path: str, expires: timedelta, written_with: dict[str, str]
    ) -> PresignedURL:
        key = self._key(path)
        return presigned(
            self._client,
            method,
            bucket=self._bucket,
            key=key,
            expires=expires,
            written_with=written_with,
        )

    def _check_writing(self) -> str:
        path = f".check.{secrets.token_hex(6)}{PARTIAL_MARK}"
        where: Any = {"Bucket": self._bucket, "Key": self._key(path)}
        with mapped_errors(f"write to {self.url}"):
            begun = self._client.create_multipart_upload(**where, **self._written_with)
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
            written_with=self._written_with,
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
        found = self._as_file(file.path, head)
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

    def _as_file(self, path: str, head: Any) -> SourceFile:
        # The version's id only where listings tell it: one file must look alike however it was found.
        return SourceFile(
            path=path,
            size=head["ContentLength"],
            last_modified=head["LastModified"].astimezone(UTC),
            etag=head["ETag"].strip('"'),
            version_id=version_of(head) if self._versions else None,
        )
