"""`fc-connect init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from fc_connect.cli.options import say
from fc_connect.errors import ConfigurationError

__all__ = ["init"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> int:
    """Write a pipeline to start from: pipeline.yaml, a mapping and a sample file. Overwrites nothing.

    \b
    Examples:
      fc-connect init
      fc-connect init inventory
    """
    template = resources.files("fc_connect.cli") / "template"
    names = ["pipeline.yaml", "inventory.mapping.json", "inbox/stock-sample.csv"]
    try:
        taken = [name for name in names if (folder / name).exists()]
    except OSError as exc:
        raise ConfigurationError(
            f"{folder} can't be looked into: {exc.strerror}. Name another folder."
        ) from exc
    if taken:
        raise ConfigurationError(
            f"{folder} holds already: {', '.join(taken)}. Nothing was written: name another folder."
        )
    for name in names:
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((template / name).read_bytes())
        except OSError as exc:
            raise ConfigurationError(
                f"{target} can't be written: {exc.strerror}. Name another folder."
            ) from exc
        say(f"wrote {target}")
    say(
        f"\nNext, in {folder}:\n"
        "  fc-connect sandbox            (in another terminal: the Fluent API on this machine)\n"
        "  fc-connect check\n"
        "  fc-connect preview\n"
        "  fc-connect run\n"
        "A mapping for a file of your own:\n"
        "  fc-connect mapping new --sample FILE --entity INVENTORY -o inventory.mapping.json --force\n"
        "For your own account: set the FLUENT_… variables that pipeline.yaml names."
    )
    return 0
