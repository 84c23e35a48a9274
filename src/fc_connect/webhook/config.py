"""The webhook file: which hooks there are, who may call them, what events are handed to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
)

from fc_connect.pipeline.config.checks import absolute_store
from fc_connect.pipeline.config.file import ConfigFile, StoreAddress
from fc_connect.pipeline.config.load import load_section, parse_section
from fc_connect.pipeline.config.section import Fault, Section
from fc_connect.pipeline.config.values import (
    Count,
    Duration,
    LocalPath,
    Secret,
    Text,
    at_least,
    more_than_zero,
)
from fc_connect.webhook.inbox import MAX_BODY_BYTES, WithoutId

__all__ = ["HookConfig", "ListenConfig", "WebhookConfig", "load_webhook_config", "parse_webhook_config"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]


class ListenConfig(Section):
    """Where calls are taken."""

    host: Text = "127.0.0.1"
    """Address of this machine. TLS, and the open network, belong to a proxy in front."""
    port: Annotated[Count, Field(ge=0, le=65535)] = 8490
    """0 takes a free one."""


class HookConfig(Section):
    """One hook, called at `/webhooks/<name>`: exactly one of handler and pipeline."""

    handler: Text | None = None
    """A Python function, `module:function` or `file.py:function`: called with each event."""
    pipeline: LocalPath | None = None
    """A pipeline file: each event starts a run of it."""
    accepts: Annotated[tuple[Literal["fluent", "api-key"], ...], Field(min_length=1)] = ("fluent",)
    """Who may call it: Fluent, by its signature, or whoever holds an API key for it."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        has = {key for key, value in given.items() if value is not None}
        if ("handler" in has) == ("pipeline" in has):
            yield "handler", "give one of handler and pipeline: what events are handed to"


class HandOverRetryConfig(Section):
    """How often an event is handed on, and how long it rests in between."""

    max_attempts: Annotated[Count, Field(ge=1, le=1000)] = 10
    """Then it is given up, and waits for a person among the dead."""
    backoff: Annotated[Duration, more_than_zero] = timedelta(seconds=2)
    """Rest after the first failure; doubles with each further one."""
    max_backoff: Annotated[Duration, more_than_zero] = timedelta(hours=1)
    """Longest rest."""


class WebhookConfig(ConfigFile):
    """A receiver of webhooks."""

    webhook: Name
    """Name of the receiver; its queue is kept under it."""
    listen: ListenConfig = ListenConfig()
    """Where calls are taken."""
    fluent_keys: tuple[Secret, ...] = ()
    """Fluent's public keys, PEM or bare base64; `file:<path>` reads one. While a key is exchanged: both."""
    legacy: tuple[Literal["md5", "sha1"], ...] = ()
    """Older signatures that count too, where the newer isn't there. They are forgeable in principle."""
    hooks: Annotated[dict[Name, HookConfig], Field(min_length=1)]
    """The hooks, by name."""
    window: Annotated[Duration, at_least(timedelta(hours=1))] = timedelta(days=7)
    """How long an event is known again. Fluent's own retries may come a day later."""
    without_id: WithoutId = "body"
    """What tells a body without an id from a repetition: the `body` itself, nothing (`accept`), or it is refused."""
    retry: HandOverRetryConfig = HandOverRetryConfig()
    """How often an event is handed on."""
    concurrency: Annotated[Count, Field(ge=1, le=64)] = 1
    """Handlers at work at once; with 1, events are handed on in the order accepted."""
    max_bytes: Annotated[Count, Field(ge=1, le=MAX_BODY_BYTES)] = 256 * 1024
    """Of a body."""
    body_timeout: Annotated[Duration, more_than_zero] = timedelta(seconds=5)
    """For a whole body to come in."""
    grace: Duration = timedelta(seconds=25)
    """For handlers under way, when it is told to stop."""
    lease: Annotated[Duration, at_least(timedelta(seconds=3))] = timedelta(seconds=30)
    """After which another machine takes over from one that died."""
    state: StoreAddress = Field(default="sqlite:///fc-connect.db", repr=False)
    """Store of the queue, as in a pipeline file."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        hooks = given.get("hooks")
        takes_fluent = isinstance(hooks, Mapping) and any(
            "fluent" in (each.get("accepts") or ["fluent"])
            for each in hooks.values()
            if isinstance(each, Mapping)
        )
        if takes_fluent and not given.get("fluent_keys"):
            yield (
                "fluent_keys",
                "is required where a hook accepts Fluent: its signatures are verified with it",
            )

    @property
    def state_url(self) -> str:
        """`state` with an absolute path. It may hold a password: never to be shown."""
        return absolute_store(self.state, base=self.base_dir)

    @property
    def workflow_id(self) -> str:
        """Under which its records lie in the store; no pipeline can have this name."""
        return f"webhook:{self.webhook}"


def load_webhook_config(path: str | Path, *, environ: Mapping[str, str] | None = None) -> WebhookConfig:
    """Read the webhook file at `path` (YAML, JSON or TOML).

    Raises:
        ConfigurationError: every fault, each as `file:line: key: what was expected`.
    """
    return load_section(path, WebhookConfig, environ=environ)


def parse_webhook_config(
    data: Mapping[str, Any], *, base_dir: Path | None = None, environ: Mapping[str, str] | None = None
) -> WebhookConfig:
    """Check a configuration that is at hand already; errors as `load_webhook_config`."""
    return parse_section(data, WebhookConfig, base_dir=base_dir, environ=environ, name="options")
