"""What several commands share: the pipeline argument, JSON output, settings of the log."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from fc_connect.observe import configure_logging, printable, printable_json

__all__ = [
    "DurationType",
    "Settings",
    "json_option",
    "one_line",
    "pipeline_argument",
    "pipeline_option",
    "print_json",
    "say",
]

DEFAULT_PIPELINE = "pipeline.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the log; also carried into worker processes."""

    log_level: str
    json_logs: bool
    debug: bool

    def apply(self) -> None:
        """Send log lines to standard error."""
        configure_logging(level=self.log_level, json=self.json_logs, stream=sys.stderr)

    __call__ = apply


class DurationType(click.ParamType[timedelta]):
    """A duration such as 30s, 5m or 1h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([0-9]+)(s|m|h|d)", str(value).strip())
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} isn't a duration: write 30s, 5m, 1h or 1d.", param, ctx)
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
        return timedelta(**{unit: int(match[1])})


def pipeline_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the pipeline file as the command's argument."""
    return click.argument("pipeline_file", type=click.Path(path_type=Path), default=DEFAULT_PIPELINE)(command)


def pipeline_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the pipeline file as an option, where the argument is something else."""
    return click.option(
        "-p",
        "--pipeline",
        "pipeline_file",
        type=click.Path(path_type=Path),
        default=DEFAULT_PIPELINE,
        show_default=True,
        help="The pipeline file.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(command)


def print_json(value: Any) -> None:
    """Print a value, records included, as indented JSON."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    click.echo(printable_json(msgspec.json.format(encoded, indent=2).decode()))


def say(text: str, *, err: bool = False) -> None:
    """Print a text of ours that may hold what others wrote: names of files, values, answers."""
    click.echo(printable(text), err=err)


def one_line(text: str) -> str:
    """Return `text` without line ends, so that a name that holds some can't look like a line of ours."""
    return printable(text).replace("\n", "\\n")
