"""`fc-connect prove`."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from fc_connect.cli.options import DEFAULT_PIPELINE, json_option, print_json
from fc_connect.errors import ConfigurationError
from fc_connect.pipeline import Pipeline
from fc_connect.proof.prove import Part, ProofReport
from fc_connect.proof.prove import prove as try_promises

__all__ = ["prove"]


@click.command()
@click.option(
    "-p",
    "--pipeline",
    "pipeline_file",
    type=click.Path(path_type=Path),
    help=f"Try the store that this file names.  [default: {DEFAULT_PIPELINE}, without --state]",
)
@click.option("--state", help="Try the store at this URL; `sqlite` is one in a new folder.")
@click.option(
    "--minutes", type=click.FloatRange(0.1), default=3.0, show_default=True, help="How long, about."
)
@click.option("--runs", type=click.IntRange(1), help="Not so long, but so many tries of each part.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of the first try; the next has the next."
)
@click.option(
    "--only",
    type=click.Choice([str(each) for each in Part]),
    multiple=True,
    help="This part alone; may be repeated.",
)
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for what failed, to look into.")
@json_option
def prove(
    pipeline_file: Path | None,
    state: str | None,
    minutes: float,
    runs: int | None,
    seed: int,
    only: tuple[str, ...],
    keep: Path | None,
    as_json: bool,
) -> int:
    """Try to break the promises on your own store and machine; tell what held, how often, and the seed to repeat it.

    Clients race while their connections are cut; workers are stopped for longer than their lock, or killed at every
    step of a run, and started again. Fluent is a sandbox on this machine. In the store nothing but keys of its own is
    touched, and none of them stays; an empty database is the better place all the same.

    \b
    Examples:
      fc-connect prove --state sqlite
      fc-connect prove --state redis://localhost:6379/9 --minutes 10
      fc-connect prove --pipeline inventory.yaml --only kills --seed 4711 --runs 1
    """
    if pipeline_file is not None and state is not None:
        raise ConfigurationError("Say which store is tried: --pipeline or --state, not both.")
    console = Console(stderr=True)
    logging.disable(logging.WARNING)  # of what is broken on purpose
    try:
        with _url(pipeline_file, state) as url, console.status("") as status:
            report = try_promises(
                url,
                seed=seed,
                within=timedelta(minutes=minutes),
                runs=runs,
                parts=[Part(each) for each in only] or tuple(Part),
                keep_in=keep,
                on_progress=lambda part, told: status.update(f"{part}: {told}"),
            )
    finally:
        logging.disable(logging.NOTSET)
    if as_json:
        print_json({"has_held": report.has_held, **_as_json(report)})
    else:
        _show(report)
    return 0 if report.has_held else 1


@contextmanager
def _url(pipeline_file: Path | None, state: str | None) -> Iterator[str]:
    if state == "sqlite":
        with tempfile.TemporaryDirectory(prefix="fc-connect-prove-") as folder:
            yield f"sqlite:///{folder}/state.db"
    elif state is not None:
        yield state
    else:
        yield Pipeline.from_file(pipeline_file or DEFAULT_PIPELINE).config.state_url


def _as_json(report: ProofReport) -> dict[str, object]:
    return {
        "seed": report.seed,
        "lacks": report.lacks,
        "proofs": [
            {
                "part": each.part,
                "has_held": each.has_held,
                "tried": each.tried,
                "summary": each.summary,
                "broken": each.broken,
                "seconds": round(each.took.total_seconds(), 1),
            }
            for each in report.proofs
        ],
    }


def _show(report: ProofReport) -> None:
    for proof in report.proofs:
        mark = "✓" if proof.has_held else "✗"
        click.echo(f"{mark} {proof.part:<12} {proof.summary}  ({proof.took.total_seconds():.0f} s)")
        for broken in proof.broken[:5]:
            click.echo(f"    {broken}")
        if len(proof.broken) > 5:
            click.echo(f"    ... and {len(proof.broken) - 5} more (--json shows all)")
    for guarantee, reason in report.lacks.items():
        click.echo(f"! {guarantee}: {reason}. No test on a running machine can show this one.")
    verdict = "Everything that was tried held." if report.has_held else "NOT everything held."
    click.echo(f"{verdict} Seed {report.seed}.")
