"""Opens what a pipeline file names: its source and its Fluent account."""

from __future__ import annotations

import random
import threading
from typing import Any

from fc_connect.clock import Clock
from fc_connect.fluent import ClientOptions, Credentials, FluentClient
from fc_connect.pipeline.config import PipelineConfig
from fc_connect.sources import Source, open_source

__all__ = ["open_client", "open_pipeline_source"]


def open_pipeline_source(config: PipelineConfig) -> Source:
    """Open the source of a pipeline.

    Raises:
        ConfigurationError: the URL, or an option of it, can't be used.
    """
    source = config.source
    options = {name: _revealed(value) for name, value in source.options().items()}
    return open_source(source.url, base=config.base_dir, **options)


def open_client(
    config: PipelineConfig, *, clock: Clock, random_source: random.Random, stop: threading.Event
) -> FluentClient:
    """Make the client of a pipeline; nothing is sent yet.

    Raises:
        ConfigurationError: what the profile or the settings lack.
    """
    fluent = config.fluent
    ca_file, proxy = fluent.ca_file, _revealed(fluent.proxy)
    options: dict[str, Any] = {
        "options": ClientOptions(
            timeout=fluent.timeout,
            connect_timeout=fluent.connect_timeout,
            total_timeout=fluent.total_timeout,
            max_attempts=fluent.max_attempts,
            max_connections=config.target.batch.concurrency + 4,
            requests_per_second=fluent.requests_per_second,
            proxy=proxy,
            verify=True if ca_file is None else ca_file,
            certificate=fluent.client_certificate,
            key=fluent.client_key,
            key_password=_revealed(fluent.client_key_password),
            compress=fluent.compress,
        ),
        "account": fluent.account,
        "clock": clock,
        "random": random_source,
        "stop": stop,
    }
    if fluent.profile is not None:
        if fluent.retailer_id is not None:
            options["retailer_id"] = fluent.retailer_id
        return FluentClient.from_profile(
            fluent.profile, retailer=fluent.retailer, directory=fluent.profile_dir, **options
        )
    credentials = Credentials(
        client_id=fluent.client_id or "",
        client_secret=_revealed(fluent.client_secret) or "",
        username=fluent.username,
        password=_revealed(fluent.password),
    )
    return FluentClient(
        base_url=fluent.base_url or "", auth=credentials, retailer_id=fluent.retailer_id, **options
    )


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
