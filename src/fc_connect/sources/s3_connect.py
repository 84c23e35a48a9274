"""Makes a client of S3: from the options of a source, with keys, a profile, or a role that is taken on."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError

from fc_connect.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["bucket_and_prefix", "connect", "encryption"]


def connect(
    shown: str,
    *,
    endpoint_url: str | None,
    region: str | None,
    access_key_id: str | None,
    secret_access_key: str | None,
    session_token: str | None,
    profile: str | None,
    role_arn: str | None,
    external_id: str | None,
    role_session_name: str | None,
    path_style: bool | None,
    timeout: timedelta,
    max_attempts: int,
) -> S3Client:
    """Make a client of the source `shown`; nothing is asked of the store yet.

    Raises:
        ConfigurationError: the options don't go together, or there is no such profile.
    """
    if (access_key_id is None) != (secret_access_key is None):
        raise ConfigurationError("access_key_id and secret_access_key go together: set both or neither.")
    if role_arn is None and (external_id is not None or role_session_name is not None):
        raise ConfigurationError("external_id and role_session_name say how to take on a role: set role_arn.")
    if endpoint_url is not None and "@" in endpoint_url:
        raise ConfigurationError(
            "endpoint_url holds a user or password: use access_key_id and secret_access_key."
        )
    # Newer checksums are asked only of Amazon: many other stores refuse them.
    checksums: Any = "when_supported" if endpoint_url is None else "when_required"
    patience: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": max_attempts},
        "connect_timeout": min(10.0, timeout.total_seconds()),
        "read_timeout": timeout.total_seconds(),
    }
    config = Config(
        **patience,
        max_pool_connections=32,
        s3={"addressing_style": "path" if path_style else "auto"},
        signature_version="s3v4",  # without it URLs are signed by the method that new regions refuse
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
        region = session.region_name
        if not region and endpoint_url is not None:
            region = "us-east-1"  # what stores that know no regions expect in a signature
        if role_arn is not None:
            role = _Role(session, role_arn, external_id, role_session_name, region or "us-east-1", patience)
            core = botocore.session.Session()
            core.register_component("credential_provider", CredentialResolver([role]))
            session = boto3.Session(botocore_session=core)
        return session.client("s3", endpoint_url=endpoint_url, region_name=region, config=config)
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"The source {shown} can't be opened: {exc}") from exc


class _Role(CredentialProvider):
    """Takes a role on when credentials are first needed, and again before they expire."""

    METHOD = "assume-role"

    def __init__(
        self,
        session: boto3.Session,
        role_arn: str,
        external_id: str | None,
        session_name: str | None,
        region: str,
        patience: dict[str, Any],
    ) -> None:
        super().__init__()
        own = session.get_credentials()
        if own is None:
            raise ConfigurationError(
                f"The role {role_arn} is taken on with credentials, and there are none: set access_key_id and "
                "secret_access_key, or a profile."
            )

        client: Any = partial(session.client, region_name=region, config=Config(**patience))
        extra = {"RoleSessionName": session_name or "fc-connect", "ExternalId": external_id}
        self._fetcher = AssumeRoleCredentialFetcher(
            client, own, role_arn, extra_args={name: value for name, value in extra.items() if value}
        )

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(
            refresh_using=self._fetcher.fetch_credentials, method=self.METHOD
        )


def encryption(sse: str | None, kms_key_id: str | None) -> dict[str, Any]:
    """Return what asks the store to encrypt what is written; empty where the bucket's own setting is to do.

    Raises:
        ConfigurationError: the options don't go together.
    """
    if sse not in {None, "AES256", "aws:kms"}:
        raise ConfigurationError(f"sse is AES256 or aws:kms, not {sse!r}.")
    if kms_key_id is not None and sse != "aws:kms":
        raise ConfigurationError("kms_key_id names the key of sse: aws:kms. Set both.")
    asked = {"ServerSideEncryption": sse, "SSEKMSKeyId": kms_key_id}
    return {name: value for name, value in asked.items() if value is not None}


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Take `s3://bucket/prefix/` apart.

    Raises:
        ConfigurationError: it names no bucket; what may be a secret isn't shown.
    """
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    # As in s3://key:secret@bucket, the secret with a slash.
    is_odd = ":" in bucket and not bucket.startswith("arn:")
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
