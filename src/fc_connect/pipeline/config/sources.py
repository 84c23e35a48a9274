"""Where files come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from fc_connect.pipeline.config.checks import marker_name, web_address, without_password
from fc_connect.pipeline.config.section import Fault, Section
from fc_connect.pipeline.config.values import (
    Count,
    Duration,
    Flag,
    LocalPath,
    Secret,
    Text,
    more_than_zero,
)

__all__ = ["SourceConfig"]

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": (
        "endpoint_url",
        "region",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "profile",
        "role_arn",
        "external_id",
        "role_session_name",
        "path_style",
        "sse",
        "kms_key_id",
        "versions",
    ),
    "sftp": (
        "username",
        "password",
        "private_key",
        "passphrase",
        "agent",
        "known_hosts",
        "host_key",
        "connections",
        "connect_timeout",
        "stall_timeout",
        "keepalive",
    ),
}
"""What only one kind of source has."""


class SourceConfig(Section):
    """Where files come from."""

    url: Annotated[Text, AfterValidator(without_password)]
    """A folder (relative to this file), `file:///path`, or `s3://bucket/prefix/`."""
    pattern: Text = "*"
    """Which files: `*` and `?` stay within a folder, `**/` spans folders, `{a,b}` are alternatives."""
    fingerprint: Literal["auto", "etag", "mtime", "sha256", "name"] = "auto"
    """What tells one version of a file from another. `etag`: content that comes back counts as known; `name`: a file
    counts once, whatever becomes of it."""
    min_age: Duration = timedelta(0)
    """Leave files alone that changed less than so long ago: they may still be written to."""
    settle: Duration = timedelta(0)
    """Look at new files twice, so long apart, and leave those alone that have changed in between."""
    marker: Annotated[Text, AfterValidator(marker_name)] | None = None
    """Take a file once a marker lies beside it that is no older: `.done` stands for `{name}.done`; by `{stem}.done` the
    marker of `a.csv` is `a.done`."""
    changed: Literal["process", "skip", "fail"] = "process"
    """What to do with a new version of a file that was begun or finished before."""
    same_content: Literal["process", "skip"] = "process"
    """What to do with a file that has the very content of one that was delivered."""
    # S3
    endpoint_url: Annotated[str, AfterValidator(web_address)] | None = None
    """Of an S3 server other than Amazon's."""
    region: Text | None = None
    """Of the bucket."""
    access_key_id: Secret | None = None
    """For S3; without it the usual places are asked (environment, profile, role)."""
    secret_access_key: Secret | None = None
    """Belongs to `access_key_id`."""
    session_token: Secret | None = None
    """Of temporary credentials."""
    profile: Text | None = None
    """Name of an AWS profile."""
    role_arn: Text | None = None
    """An AWS role to take on with these credentials, and again before those of the role expire."""
    external_id: Text | None = None
    """What the role's owner asks for, where the role is another account's."""
    role_session_name: Text | None = None
    """What the role's owner sees in their log; `fc-connect` without it."""
    path_style: Flag = False
    """Address buckets by path, as many S3-like servers want it."""
    sse: Literal["AES256", "aws:kms"] | None = None
    """Have S3 encrypt what is written and moved there; without it, as the bucket's own setting says."""
    kms_key_id: Text | None = None
    """The key of `sse: aws:kms`; without it, the account's own."""
    versions: Flag = False
    """Tell versions of an S3 file apart by the ids that a bucket with versions gives them: each upload counts, and the
    listed version is read even when a newer one has replaced it."""

    # SFTP
    username: Text | None = None
    """For SFTP, where the url names no user."""
    password: Secret | None = None
    """Of the user, for SFTP."""
    private_key: LocalPath | None = None
    """File of the user's key, for SFTP."""
    passphrase: Secret | None = None
    """Belongs to `private_key`."""
    agent: Flag = False
    """Whether keys of an SSH agent may be used."""
    known_hosts: LocalPath | None = None
    """File with the keys of SFTP servers; without it ~/.ssh/known_hosts."""
    host_key: tuple[Text, ...] = ()
    """Fingerprints of the server's key, such as `SHA256:…`, in place of `known_hosts`; several while it is changed."""
    connections: Annotated[Count, Field(ge=1, le=64)] = 4
    """To an SFTP server, at most."""
    connect_timeout: Annotated[Duration, more_than_zero] = timedelta(seconds=20)
    """Until an SFTP server has let us in."""
    stall_timeout: Annotated[Duration, more_than_zero] = timedelta(seconds=30)
    """How long an SFTP server may send nothing that was asked for, until it is connected to anew."""
    keepalive: Duration = timedelta(seconds=15)
    """Between two signs of life on an SFTP connection that is idle."""

    @property
    def scheme(self) -> str:
        """What kind of source it is: `file`, `s3` or `sftp`."""
        return self.url.partition("://")[0].lower() if "://" in self.url else "file"

    def options(self) -> dict[str, Any]:
        """Return what was said about a source of this kind, by the names of `open_source`."""
        given = {
            name: getattr(self, name) for name in _KEYS.get(self.scheme, ()) if name in self.model_fields_set
        }
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        key, secret = given.get("access_key_id"), given.get("secret_access_key")
        if (key is None) != (secret is None):
            missing = "access_key_id" if key is None else "secret_access_key"
            yield missing, "is missing: access_key_id and secret_access_key belong together"
        if given.get("session_token") is not None and key is None and secret is None:
            yield "session_token", "needs access_key_id and secret_access_key"
        if key is not None and given.get("profile") is not None:
            yield "profile", "can't be used together with access_key_id: give one of them"
        for name in ("external_id", "role_session_name"):
            if given.get(name) is not None and given.get("role_arn") is None:
                yield name, "says how to take on a role: it needs role_arn"
        if given.get("kms_key_id") is not None and given.get("sse") != "aws:kms":
            yield "kms_key_id", "names the key of `sse: aws:kms`: it needs that"
        url = given.get("url")
        scheme = url.partition("://")[0].lower() if isinstance(url, str) and "://" in url else "file"
        for kind, keys in _KEYS.items():
            for key in keys:
                if kind != scheme and given.get(key) is not None:
                    yield key, f"is of use with {kind}:// alone"
