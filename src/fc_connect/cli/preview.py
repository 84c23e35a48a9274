"""What a preview looks like: the record on the left, the entity on the right, a field a line."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fc_connect.cli.options import one_line, say
from fc_connect.mapping import FieldTrace
from fc_connect.pipeline import PreviewRow

__all__ = ["show_row"]

_WIDTH_ELSEWHERE = 120
"""Where the output is no terminal."""


def show_row(row: PreviewRow) -> None:
    """Print a record and what it would become."""
    verdict = "rejected" if row.entity is None else "one entity"
    say(f"{row.place}: {verdict}")
    if row.fields:
        console = Console()
        width = console.width if console.is_terminal else _WIDTH_ELSEWHERE
        Console(width=width, highlight=False).print(_table(row.fields))
    else:
        say(f"  {_shown(row.record)}")
    told = {each.reason for each in row.fields if each.reason is not None}
    for problem in row.problems:
        if not any(reason in problem for reason in told):
            say(f"  ✗ {one_line(problem)}")


def _table(fields: tuple[FieldTrace, ...]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name in ("  source", "record", "resolver", "field", "entity"):
        table.add_column(name, overflow="fold", header_style="bold")
    for each in fields:
        mark = "✗" if each.outcome == "rejected" else " "
        result = {"set": _shown(each.value), "absent": "(left out)", "rejected": f"rejected: {each.reason}"}
        cells = (
            f"{mark} {each.source or '(constant)'}" if each.source or each.found is not None else f"{mark} ",
            "" if each.found is None and each.source is None else _shown(each.found),
            " → ".join(each.resolvers),
            each.field,
            result[each.outcome],
        )
        # As text: what stands in a record is no markup.
        table.add_row(*(Text(one_line(cell)) for cell in cells), style="red" if mark == "✗" else None)
    return table


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
