"""`fc-connect sandbox`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from fc_connect.sandbox import serve

__all__ = ["sandbox"]


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="0: any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--database", type=click.Path(path_type=Path), help="Keep what it receives in this file.")
@click.option(
    "--processing-time",
    type=click.FloatRange(0),
    default=0.05,
    show_default=True,
    help="Seconds until a batch is processed.",
)
@click.option("--hide-batches", is_flag=True, help="Don't list a job's batches, as some accounts don't.")
@click.option("--preprocessing", is_flag=True, help="Drop records that change nothing, as some accounts do.")
@click.option(
    "--webhook",
    "webhooks",
    multiple=True,
    metavar="NAME=URL",
    help="Send a signed webhook there for each event of that name (*: every event).",
)
@click.option(
    "--webhook-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="RSA private key (PEM) that signs them; without it one is made.",
)
@click.option(
    "--seed",
    metavar="FILE",
    help="Entities for GraphQL from a JSON or YAML file; demo: a small retailer with shops, stock and orders.",
)
def sandbox(
    port: int,
    host: str,
    database: Path | None,
    processing_time: float,
    hide_batches: bool,
    preprocessing: bool,
    webhooks: tuple[str, ...],
    webhook_key: Path | None,
    seed: str | None,
) -> int:
    """Run the Fluent API on this machine, for trials and tests: jobs, batches, a log, faults on demand.

    Any credentials are accepted. What it received: GET /_sandbox/deliveries.

    \b
    Examples:
      fc-connect sandbox
      fc-connect sandbox --port 9000 --database sandbox.db
      fc-connect sandbox --webhook OrderCreated=http://127.0.0.1:8490/webhooks/orders
      fc-connect sandbox --seed demo
    """
    urls: dict[str, list[str]] = {}
    for each in webhooks:
        name, _, url = each.partition("=")
        urls.setdefault(name, []).append(url)
    serve(
        port=port,
        host=host,
        database=database,
        processing_time=timedelta(seconds=processing_time),
        list_batches=not hide_batches,
        preprocessing=preprocessing,
        webhooks=urls,
        webhook_key=None if webhook_key is None else webhook_key.read_bytes(),
        seed=seed,
        announce=click.echo,
    )
    return 0
