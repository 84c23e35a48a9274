"""`fc-connect run`."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import click

from fc_connect.cli.options import DurationType, Settings, json_option, pipeline_argument, print_json, say
from fc_connect.cli.terminal import Progress, show_result
from fc_connect.pipeline import Pipeline, RunResult, run_workers

__all__ = ["run", "run_once"]


@click.command()
@pipeline_argument
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes side by side."
)
@click.option("--every", type=DurationType(), help="Keep running: begin a run every so often (30s, 5m, 1h).")
@click.option("--wait", is_flag=True, help="Stay until files that other workers hold are done.")
@json_option
@click.pass_obj
def run(
    settings: Settings, pipeline_file: Path, workers: int, every: timedelta | None, wait: bool, as_json: bool
) -> int:
    """Process every file that is due, each exactly once.

    Safe to start at any time, as often and on as many machines as you like: a file that another worker holds is
    left to it, and what was cut short is carried on. Ctrl-C ends after the batches that are under way.

    \b
    Examples:
      fc-connect run                           run pipeline.yaml
      fc-connect run inventory.yaml --workers 4
      fc-connect run --every 5m                keep running
      fc-connect run --json | jq .files_processed
    """
    stop = _stop_on_signal()
    while True:
        result = run_once(
            pipeline_file, settings=settings, workers=workers, wait=wait, as_json=as_json, stop=stop
        )
        if every is None or stop.is_set():
            return 130 if result.stopped else 0 if result.success else 1
        if not as_json:
            again = datetime.now(UTC) + every
            say(f"Next run at {again:%H:%M:%S} UTC; Ctrl-C ends.")
        stop.wait(every.total_seconds())
        if stop.is_set():
            return 0


def run_once(
    pipeline_file: Path, *, settings: Settings, workers: int, wait: bool, as_json: bool, stop: threading.Event
) -> RunResult:
    """Run a pipeline once, showing progress and summary, and return its result."""
    with Progress(is_quiet=as_json) as progress:
        if workers > 1:
            Pipeline.from_file(pipeline_file)  # its faults are told once, not by every worker
            result = run_workers(
                pipeline_file, count=workers, wait=wait, stop=stop, listeners=[progress], prepare=settings
            )
        else:
            pipeline = Pipeline.from_file(pipeline_file, listeners=[progress], stop=stop)
            result = pipeline.run(wait=wait)
    if as_json:
        print_json(result)
    else:
        show_result(result)
    return result


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: leave at once; the ledger knows what was under way
        stop.set()
        say("\nStopping after the batches under way ... (Ctrl-C again: at once)", err=True)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop
