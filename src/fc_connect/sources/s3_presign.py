"""URLs by which someone without credentials may read or write one object for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from fc_connect.errors import ConfigurationError
from fc_connect.sources.s3_errors import mapped_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["PresignedURL", "presigned"]

LONGEST: Final = timedelta(days=7)
"""That a signature holds (SigV4)."""

_HEADERS = {
    "ContentType": "Content-Type",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedURL:
    """Whoever has it may do one thing with one object until it expires."""

    method: Literal["GET", "PUT"]
    url: str = field(repr=False)
    """A secret: it holds the signature."""
    headers: Mapping[str, str]
    """Are signed too: the sender must send just these, and no other `x-amz-` header."""


def presigned(
    client: S3Client,
    method: Literal["GET", "PUT"],
    *,
    bucket: str,
    key: str,
    expires: timedelta,
    written_with: Mapping[str, str],
) -> PresignedURL:
    """Sign a request; nothing is asked of the store.

    Raises:
        ConfigurationError: `expires` is out of range.
        SourceError: there are no credentials to sign with.
    """
    if not timedelta(seconds=1) <= expires <= LONGEST:
        raise ConfigurationError(f"A presigned URL holds for a second to {LONGEST.days} days, not {expires}.")
    operation = "get_object" if method == "GET" else "put_object"
    params: dict[str, Any] = {"Bucket": bucket, "Key": key, **written_with}
    with mapped_errors(f"sign a URL of s3://{bucket}/{key}"):
        url = client.generate_presigned_url(
            operation, Params=params, ExpiresIn=int(expires.total_seconds()), HttpMethod=method
        )
    headers = {_HEADERS[name]: value for name, value in written_with.items()}
    return PresignedURL(method=method, url=url, headers=headers)
