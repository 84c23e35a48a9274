"""What a pipeline file says, one model for each of its sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from fc_connect.pipeline.config.checks import (
    absolute_store,
    folder_below,
    mapping_or_path,
    resolvers_place,
    web_address,
)
from fc_connect.pipeline.config.file import ConfigFile, StoreAddress
from fc_connect.pipeline.config.formats import AnyFormatConfig, CSVFormatConfig
from fc_connect.pipeline.config.section import Fault, Section
from fc_connect.pipeline.config.sources import SourceConfig
from fc_connect.pipeline.config.values import (
    Count,
    Duration,
    Flag,
    LocalPath,
    RejectLimit,
    Rejects,
    Secret,
    Text,
    at_least,
    more_than_zero,
)

__all__ = [
    "AfterConfig",
    "BatchTargetConfig",
    "ConfirmConfig",
    "FluentConfig",
    "LeaseConfig",
    "PipelineConfig",
    "RejectsConfig",
    "RetryConfig",
    "TargetConfig",
]


class BatchTargetConfig(Section):
    """Batches of a Fluent job."""

    entity_type: Literal["INVENTORY", "PRODUCT", "ORDER", "CUSTOMER", "LOCATION", "FULFILLMENT"] = "INVENTORY"
    """What the entities are. Fluent's batch API is known to take INVENTORY."""
    action: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]*$")] = "UPSERT"
    """What to do with them. Only UPSERT may be sent again where the outcome of a batch is unknown."""
    source: Text | None = None
    """Names the sender, such as WMS."""
    event: Text | None = "InventoryChanged"
    """The event that each entity raises; null for none."""
    catalogue_ref: Text | None = None
    """Of the inventory catalogue."""
    conditions: dict[str, Any] | None = None
    """Passed to Fluent as they are."""
    size: Annotated[Count, Field(ge=1, le=5000)] = 1000
    """Entities in a batch."""
    concurrency: Annotated[Count, Field(ge=1, le=64)] = 4
    """Batches of one file that are under way at the same time."""


class TargetConfig(Section):
    """Where entities go: exactly one kind of target."""

    batch: BatchTargetConfig
    """Batches of a Fluent job."""


class RejectsConfig(Section):
    """What becomes of records that can't be read or mapped."""

    max: Rejects = Field(default=RejectLimit(count=0), json_schema_extra={"default": 0})
    """How many of a file's records may be rejected, as a count or a percentage; above it the file fails."""
    to: LocalPath = Field(default=Path("rejects/"), validate_default=True)
    """Folder for the rejected records with their reasons."""


class AfterConfig(Section):
    """Where finished files are moved, as folders below the source's root; without one they stay.

    `{yyyy}`, `{mm}`, `{dd}` and `{hh}` stand for the time at which the file was finished, in UTC.
    """

    success: Annotated[Text, AfterValidator(folder_below)] | None = None
    """For files that were delivered."""
    failure: Annotated[Text, AfterValidator(folder_below)] | None = None
    """For files that were given up."""
    sidecar: Flag = True
    """Whether a moved file gets a JSON file beside it that tells its digest, counts, job and batches."""
    keep: Annotated[Duration, more_than_zero] | None = None
    """How long moved files are kept; older ones are removed, with their sidecars. Without it they stay for good."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        if given.get("keep") is not None:
            if given.get("success") is None and given.get("failure") is None:
                yield "keep", "is of use with success or failure alone: no file is moved"
            if given.get("sidecar") in {False, "false"}:
                yield (
                    "keep",
                    "needs the sidecars: they tell which files of a folder are this pipeline's, and since when",
                )


_ACCOUNT_KEYS = ("base_url", "client_id", "client_secret", "username", "password")


class FluentConfig(Section):
    """The Fluent account: a profile of the Fluent CLI, or an address with credentials."""

    profile: Text | None = None
    """Name of a profile of the Fluent CLI."""
    profile_dir: LocalPath | None = None
    """Folder of the profiles; without it FLUENT_PROFILE_DIR, then ~/.fluentcommerce."""
    retailer: Text | None = None
    """Ref of a retailer of the profile."""
    base_url: Annotated[str, AfterValidator(web_address)] | None = None
    """Such as https://account.sandbox.api.fluentretail.com."""
    client_id: Text | None = None
    """Of the account."""
    client_secret: Secret | None = None
    """Belongs to `client_id`."""
    username: Text | None = None
    """Of the user to log in as; without one, client credentials are used."""
    password: Secret | None = None
    """Belongs to `username`."""
    retailer_id: Text | None = None
    """Id of the retailer, in quotes."""
    account: Text | None = None
    """Sent as `fluent.account` where given."""
    timeout: Annotated[Duration, more_than_zero] = timedelta(seconds=30)
    """For one request and its answer."""
    connect_timeout: Annotated[Duration, more_than_zero] = timedelta(seconds=10)
    """Until there is a connection."""
    total_timeout: Annotated[Duration, more_than_zero] = timedelta(minutes=5)
    """For a call as a whole: login, every attempt and every wait."""
    max_attempts: Annotated[Count, Field(ge=1, le=100)] = 4
    """Of a request that certainly did nothing."""
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Of this process, evenly spread; without it as many as there are."""
    proxy: Secret | None = None
    """Address of an HTTP proxy, or `direct` for none; without it HTTPS_PROXY and NO_PROXY say."""
    ca_file: LocalPath | None = None
    """PEM file of the authorities to trust, in the place of the usual ones."""
    client_certificate: LocalPath | None = None
    """PEM file of a client certificate."""
    client_key: LocalPath | None = None
    """PEM file of its key, where the certificate's doesn't hold it."""
    client_key_password: Secret | None = None
    """Of the key."""
    compress: Flag = False
    """Pack bodies with gzip."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        has = {key for key, value in given.items() if value is not None}
        if "profile" in has:
            for key in _ACCOUNT_KEYS:
                if key in has:
                    yield key, "can't be used together with profile: the profile says it"
            if "retailer" in has and "retailer_id" in has:
                yield "retailer_id", "can't be used together with retailer: give one of them"
            if not has & {"retailer", "retailer_id"}:
                yield "retailer", "is required with profile: the ref of one of its retailers"
            return
        if not has & set(_ACCOUNT_KEYS):
            yield (
                "profile",
                "is required, or base_url, client_id, client_secret and retailer_id in its place",
            )
        else:
            for key in ("base_url", "client_id", "client_secret", "retailer_id"):
                if key not in has:
                    yield key, "is required where there is no profile"
        if ("username" in has) != ("password" in has):
            yield "password" if "username" in has else "username", "username and password belong together"
        if "profile_dir" in has:
            yield "profile_dir", "is of use with profile alone"
        if "retailer" in has:
            yield "retailer", "is of use with profile alone: give retailer_id"


class LeaseConfig(Section):
    """How workers keep out of each other's way."""

    timeout: Annotated[Duration, at_least(timedelta(seconds=3))] = timedelta(minutes=15)
    """How long the files of a worker that died stay locked."""


class RetryConfig(Section):
    """How often a failed file is tried, and how long it rests in between."""

    max_attempts: Annotated[Count, Field(ge=1)] = 5
    """Then it is quarantined."""
    backoff: Duration = timedelta(minutes=1)
    """Rest after the second failure; doubles with each further one."""
    max_backoff: Duration = timedelta(hours=1)
    """Longest rest."""


class ConfirmConfig(Section):
    """Whether a file waits until Fluent has processed it."""

    wait: Flag = True
    """Off: a file counts as delivered once Fluent has accepted its batches."""
    timeout: Annotated[Duration, more_than_zero] = timedelta(minutes=10)
    """For one batch; the next run asks again, nothing is sent twice."""
    on_reject: Literal["report", "fail"] = "report"
    """What to do where Fluent refuses records: note them among the rejects, or fail the file."""


class PipelineConfig(ConfigFile):
    """A pipeline: which files go where, and what may happen to them on the way."""

    pipeline: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
    """Name of the pipeline; its state is kept under it."""
    source: SourceConfig
    """Where files come from."""
    format: AnyFormatConfig = CSVFormatConfig()
    """How the files are written."""
    mapping: Annotated[
        Path | dict[str, Any],
        PlainValidator(mapping_or_path),
        WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "object"}]}),
    ]
    """How a record becomes an entity: a mapping file, or the mapping itself."""
    context: dict[str, Any] = Field(default_factory=dict)
    """What the mapping reads as `$context.…`; `pipeline`, the name of this one, is there by itself."""
    target: TargetConfig
    """Where entities go."""
    job: Literal["daily", "per-file", "per-run"] = "daily"
    """Which Fluent job the batches belong to."""
    # Validated, unlike other defaults: its folder starts from `base_dir`.
    rejects: RejectsConfig = Field(default_factory=dict, validate_default=True)
    """What becomes of records that can't be read or mapped."""
    after: AfterConfig = AfterConfig()
    """Where finished files are moved."""
    fluent: FluentConfig
    """The Fluent account."""
    order: Literal["time", "any"] = "time"
    """`time`: files are sent oldest first. `any`: side by side."""
    duplicates: Literal["last", "reject", "keep"] = "last"
    """What to do with records of one file that share a key. `keep` sends batches one after another."""
    key: Annotated[tuple[Text, ...], Field(min_length=1)] = ("locationRef", "skuRef|productRef", "type")
    """Fields that identify an entity; `a|b` is whichever it has."""
    on_failure: Literal["supersede", "stop", "continue"] = "supersede"
    """What a failed file means for newer ones: it is given up once one is delivered, holds them, or neither."""
    validation: Literal["whole", "streaming"] = Field(default="whole", alias="validate")
    """`whole`: map all of a file before its first batch goes out. `streaming`: send as it is read."""
    state: StoreAddress = Field(default="sqlite:///fc-connect.db", repr=False)
    """Store of the state: `sqlite:///path`, `redis://…` or `postgresql://…`; `file:<path>` reads the URL there."""
    exactly_once: Literal["required", "preferred"] = "preferred"
    """`required`: refuse to run on a store that, as it is set up, lacks a guarantee. `preferred`: warn."""
    lease: LeaseConfig = LeaseConfig()
    """How workers keep out of each other's way."""
    retry: RetryConfig = RetryConfig()
    """How often a failed file is tried."""
    confirm: ConfirmConfig = ConfirmConfig()
    """Whether a file waits until Fluent has processed it."""
    resolvers: Annotated[Text, AfterValidator(resolvers_place)] | None = None
    """Own resolvers: `module`, `module:attribute`, or the path of a Python file."""
    lookback: Duration = timedelta(minutes=10)
    """How far behind the newest delivered file a late one is still expected."""
    spool: LocalPath | None = None
    """Folder for bodies that wait to be sent; must outlive the process."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        if given.get("validate") == "streaming" and given.get("duplicates", "last") != "keep":
            yield (
                "validate",
                "streaming can't find duplicates in what it hasn't read: it needs `duplicates: keep`",
            )

    @property
    def state_url(self) -> str:
        """`state` with an absolute path. It may hold a password: never to be shown."""
        return absolute_store(self.state, base=self.base_dir)

    @property
    def rejects_path(self) -> Path:
        """Folder for rejected records, absolute."""
        return self.base_dir / self.rejects.to

    @property
    def spool_path(self) -> Path:
        """Folder for bodies that wait to be sent, absolute. A resume after a restart needs it to be still there."""
        return self.base_dir / (self.spool or Path(".fc-connect/spool"))
