"""Lists the objects below a prefix, a page at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

from fc_connect.errors import SourceError, SourceUnavailableError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.paths import PathPattern, checked_path, tidied
from fc_connect.sources.s3_errors import NOT_S3, mapped_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["list_objects", "version_of"]

logger = logging.getLogger(__name__)


def list_objects(
    client: S3Client, bucket: str, prefix: str, pattern: PathPattern, *, versions: bool
) -> Iterator[SourceFile]:
    """Yield the objects that match, in the order of their keys; with `versions`, each with its version's id."""
    url = f"s3://{bucket}/{prefix}"
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix + pattern.prefix}
    if pattern.max_depth == pattern.prefix.count("/"):
        request["Delimiter"] = "/"  # one folder: an archive below it may hold millions of keys
    for page in _pages(client, request, url=url, versions=versions):
        for item in page.get("Versions" if versions else "Contents", ()):
            path = item["Key"].removeprefix(prefix)
            if item.get("IsLatest", True) and _is_listed(path, pattern, url=url):
                yield SourceFile(
                    path=path,
                    size=item["Size"],
                    last_modified=item["LastModified"].astimezone(UTC),
                    etag=item["ETag"].strip('"'),
                    version_id=version_of(item),
                )
        for folder in page.get("CommonPrefixes", ()):
            if f"/{folder['Prefix']}".endswith("//"):
                logger.warning(
                    "%s: left out of the listing: what begins with %r. A path can't have an empty part: rename it.",
                    url,
                    folder["Prefix"],
                )


def version_of(told: Any) -> str | None:
    """Return the version's id, if the bucket gives each version its own."""
    version_id = told.get("VersionId")
    return (
        None if version_id == "null" else version_id
    )  # `null` is any version from before, or without, versions


def _pages(client: S3Client, request: dict[str, Any], *, url: str, versions: bool) -> Iterator[Any]:
    # What the answer calls the place to go on from, and what the request does.
    token = (
        {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        if versions
        else {"NextContinuationToken": "ContinuationToken"}
    )
    while True:
        with mapped_errors(f"list {url}"):
            page: Any = (
                client.list_object_versions(**request) if versions else client.list_objects_v2(**request)
            )
        if page.get("IsTruncated") is None:
            # Well-formed, and from someone else: it must not pass for an empty folder.
            raise SourceUnavailableError(f"Can't list {url}: {NOT_S3}")
        yield page
        if not page.get("IsTruncated"):
            return
        for name in token.values():
            request.pop(name, None)
        request |= {asked: page[told] for told, asked in token.items() if page.get(told)}
        if not any(name in request for name in token.values()):
            # To go on without it would begin anew for ever; to stop would lose files.
            raise SourceError(f"Can't list {url}: the store cut the listing off without saying how to go on.")


def _is_listed(path: str, pattern: PathPattern, *, url: str) -> bool:
    if not path or path.endswith("/"):  # the mark that some tools make of a folder
        return False
    is_odd = "//" in path or path.startswith("/") or "/." in f"/{path}"
    if not pattern.matches(tidied(path) if is_odd else path):
        return False
    try:
        checked_path(path)
    except SourceError as exc:
        logger.warning("%s: left out of the listing: %s", url, exc)
        return False
    return True
