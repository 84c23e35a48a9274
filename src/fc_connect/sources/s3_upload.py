"""Uploads one object: small ones at once, large ones in parts; either way it appears whole."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from fc_connect.errors import SourceError
from fc_connect.sources.s3_errors import code_of, mapped_errors, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["Upload"]

logger = logging.getLogger(__name__)

_MARK = "fc-connect-write"


class Upload:
    """One object on its way: `send`, then `publish` or `abandon`. For one thread."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        key: str,
        *,
        url: str,
        part_bytes: int,
        written_with: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._where: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._url = url
        self._part_bytes = part_bytes
        self._small = b""
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        # Tells our object from another's when the answer to its creation was lost and a retry met it.
        self._mark = secrets.token_hex(16)
        self._described: dict[str, Any] = {"Metadata": {_MARK: self._mark}, **written_with}

    def send(self, content: BinaryIO) -> None:
        """Read `content` to its end; large ones are sent meanwhile, invisible until published."""
        part = self._next_part(content)
        if len(part) < self._part_bytes:
            self._small = part
            return
        with mapped_errors(f"write {self._url}"):
            begun = self._client.create_multipart_upload(**self._where, **self._described)
        self._upload_id = begun["UploadId"]
        try:
            while part:
                self._send_part(part)
                part = self._next_part(content)
        except BaseException:
            self.abandon()
            raise

    def publish(self, *, overwrite: bool) -> None:
        """Make the object visible.

        Raises:
            SourceError: it exists and `overwrite` is off.
        """
        condition = {} if overwrite else {"IfNoneMatch": "*"}
        with mapped_errors(f"write {self._url}"):
            try:
                self._create(condition)
            except ClientError as exc:
                if code_of(exc) == "NotImplemented" and condition:
                    self._create({})  # the store knows no conditions: the caller's look beforehand must do
                elif status_of(exc) != 412 or not self._is_ours():
                    if status_of(exc) == 412:
                        raise self.exists() from exc
                    raise
        self._upload_id = None

    def abandon(self) -> None:
        """Throw away what was sent; twice is no fault."""
        if self._upload_id is None:
            return
        upload_id, self._upload_id = self._upload_id, None
        try:
            with mapped_errors(f"abandon the parts of {self._url}"):
                self._client.abort_multipart_upload(**self._where, UploadId=upload_id)
        except SourceError as exc:
            # The error that led here is the one to report; the parts cost storage until the bucket's rule drops them.
            logger.warning("%s", exc)

    def exists(self) -> SourceError:
        """Return the error for a name that is taken."""
        return SourceError(f"{self._url} exists already; nothing was written.")

    def _create(self, condition: dict[str, Any]) -> None:
        if self._upload_id is None:
            self._client.put_object(**self._where, Body=self._small, **self._described, **condition)
        else:
            self._client.complete_multipart_upload(
                **self._where, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}, **condition
            )

    def _is_ours(self) -> bool:
        with suppress(ClientError):  # gone again: then it isn't there as ours
            return self._client.head_object(**self._where).get("Metadata", {}).get(_MARK) == self._mark
        return False

    def _send_part(self, part: bytes) -> None:
        number = len(self._parts) + 1
        with mapped_errors(f"write {self._url}"):
            sent = self._client.upload_part(
                **self._where, UploadId=self._upload_id or "", PartNumber=number, Body=part
            )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _next_part(self, content: BinaryIO) -> bytes:
        # Whole parts: some stores want all but the last to be of one size.
        pieces, missing = [], self._part_bytes
        while missing and (piece := content.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)
