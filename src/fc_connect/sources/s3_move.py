"""Moves one object inside its bucket: copy, check, remove; each step may be done again after a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from fc_connect.errors import SourceError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.paths import numbered
from fc_connect.sources.s3_errors import code_of, mapped_errors, status_of
from fc_connect.sources.s3_reader import changed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["ObjectMove"]

COPY_PART_BYTES: Final = 512 * 1024 * 1024
"""Of a copy in parts."""

_MARK = "fc-connect-moved"
_MAX_METADATA_BYTES = 1900  # of 2,048 that S3 allows for names and values together
_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")


class ObjectMove:
    """One move of one listed version. For one thread."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str,
        file: SourceFile,
        *,
        url: str,
        head: Callable[[str], Any | None],
        max_copy_bytes: int,
        written_with: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._file = file
        self._url = url
        self._head = head
        self._max_copy_bytes = max_copy_bytes
        self._written_with = written_with
        self._removes_origin = False
        version = f"{prefix}{file.path}\0{file.etag}\0{file.size}"
        self._mark = hashlib.sha256(version.encode()).hexdigest()

    def place(self, destination: str) -> str:
        """Have the content under `destination` or a numbered name; return which.

        Raises:
            FileChangedError: the object isn't the listed version, nor was it moved before.
        """
        origin = self._head(self._file.path)
        is_listed = origin is not None and self._is_listed(origin)
        for path in numbered(destination):
            if path == self._file.path:
                if not is_listed:
                    break
                return path
            there = self._head(path)
            if there is None and not is_listed:
                break
            if self._copied(origin, path) if there is None else self._is_same(there):
                self._removes_origin = is_listed
                return path
        raise changed(self._file, "is gone" if origin is None else "was replaced")

    def remove_origin(self) -> None:
        """Remove the old name if it bore the listed version when the move began, and still does.

        Raises:
            FileChangedError: a newer version arrived; it stays.
        """
        origin = self._head(self._file.path) if self._removes_origin else None
        if origin is None:
            return
        newer = changed(self._file, "was replaced while it was moved; the new version stays")
        if not self._is_listed(origin):
            raise newer
        where: Any = {"Bucket": self._bucket, "Key": self._prefix + self._file.path}
        with mapped_errors(f"delete {self._url}{self._file.path}"):
            try:
                self._client.delete_object(**where, IfMatch=f'"{self._file.etag}"')
            except ClientError as exc:
                if status_of(exc) == 412:
                    raise newer from exc
                if code_of(exc) == "NotImplemented":
                    self._client.delete_object(**where)
                elif status_of(exc) != 404:
                    raise

    def _is_listed(self, there: Any) -> bool:
        """Say whether what bears the file's name is the listed version."""
        is_version = self._file.version_id is None or there.get("VersionId") == self._file.version_id
        return is_version and _etag(there) == self._file.etag

    def _is_same(self, there: Any) -> bool:
        """Say whether an object is this move's work, or has the same content."""
        if there["ContentLength"] != self._file.size:
            return False
        return there.get("Metadata", {}).get(_MARK) == self._mark or _etag(there) == self._file.etag

    def _copied(self, origin: Any, path: str) -> bool:
        """Copy to a free name; False where someone took it meanwhile."""
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": self._prefix + path,
            "CopySource": {"Bucket": self._bucket, "Key": self._prefix + self._file.path},
            "CopySourceIfMatch": f'"{self._file.etag}"',
        }
        if self._file.version_id is not None:
            request["CopySource"]["VersionId"] = self._file.version_id
        described = self._description(origin)
        with mapped_errors(f"move {self._url}{self._file.path} to {path}"):
            try:
                if self._file.size > self._max_copy_bytes:
                    self._copy_in_parts(request, described)
                else:
                    self._copy_at_once(request, described)
            except ClientError as exc:
                # 412 stands for either condition: the origin changed, or the name is taken.
                if status_of(exc) not in {404, 412}:
                    raise
                now = self._head(self._file.path)
                if now is None or not self._is_listed(now):
                    raise changed(self._file, "was replaced while it was moved") from exc
                taken = self._head(path)
                if taken is None or status_of(exc) == 404:
                    raise
                return self._is_same(taken)
        placed = self._head(path)
        if placed is None:
            raise SourceError(f"{self._url}{path} isn't there after the copy; {self._file.path!r} stays.")
        if self._is_same(placed) or (not described and placed["ContentLength"] == self._file.size):
            return True
        # A store that ignores CopySourceIfMatch may have copied a newer version: it is still there as well.
        now = self._head(self._file.path)
        if now is None or not self._is_listed(now):
            raise changed(self._file, "was replaced while it was moved")
        raise SourceError(
            f"{self._url}{path} isn't the copy that was asked for: someone else wrote it in the same instant, or "
            f"the store doesn't keep metadata. {self._file.path!r} stays."
        )

    def _description(self, origin: Any) -> dict[str, Any]:
        """Return what the copy is to bear: all that the origin has, and our mark. Empty: as it is, no mark."""
        metadata = {**origin.get("Metadata", {}), _MARK: self._mark}
        text = "".join(f"{name}{value}" for name, value in metadata.items())
        if not text.isascii() or len(text) > _MAX_METADATA_BYTES:
            return {}
        return {"Metadata": metadata, **{name: origin[name] for name in _KEPT if name in origin}}

    def _copy_at_once(self, request: dict[str, Any], described: dict[str, Any]) -> None:
        directive = {"MetadataDirective": "REPLACE", **described} if described else {}
        directive |= self._written_with
        try:
            self._client.copy_object(**request, **directive, IfNoneMatch="*")
        except ClientError as exc:
            if code_of(exc) != "NotImplemented":
                raise
            self._client.copy_object(**request, **directive)

    def _copy_in_parts(self, request: dict[str, Any], described: dict[str, Any]) -> None:
        where: Any = {"Bucket": self._bucket, "Key": request["Key"]}
        upload_id = self._client.create_multipart_upload(**where, **described, **self._written_with)[
            "UploadId"
        ]
        try:
            parts: list[Any] = []
            step = max(COPY_PART_BYTES, -(-self._file.size // 10_000))
            for start in range(0, self._file.size, step):
                end = min(start + step, self._file.size) - 1
                number = len(parts) + 1
                part = self._client.upload_part_copy(
                    **request, UploadId=upload_id, PartNumber=number, CopySourceRange=f"bytes={start}-{end}"
                )
                parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
            finished: Any = {**where, "UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
            try:
                self._client.complete_multipart_upload(**finished, IfNoneMatch="*")
            except ClientError as exc:
                if code_of(exc) != "NotImplemented":
                    raise
                self._client.complete_multipart_upload(**finished)
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # the error that led here is the one to report
                self._client.abort_multipart_upload(**where, UploadId=upload_id)
            raise


def _etag(head: Any) -> str:
    return str(head["ETag"]).strip('"')
