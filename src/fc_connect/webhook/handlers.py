"""What events are handed to: a Python function, or a run of a pipeline."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError, RunError, StoppedError
from fc_connect.webhook.hand_over import Handler
from fc_connect.webhook.inbox import QueuedEvent

__all__ = ["load_function", "pipeline_handler"]


def load_function(where: str, *, base: Path) -> Handler:
    """Return the function that `module:function` or `file.py:function` names; a file starts from `base`.

    Raises:
        ConfigurationError: it can't be loaded, or isn't a function.
    """
    place, _, name = where.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigurationError(f"The handler {where!r} must be module:function, or file.py:function.")
    try:
        module = _load_file(base / place) if place.endswith(".py") else importlib.import_module(place)
        found = getattr(module, name)
    except Exception as exc:
        raise ConfigurationError(f"The handler {where} can't be loaded: {type(exc).__name__}: {exc}") from exc
    if not callable(found):
        raise ConfigurationError(f"The handler {where} isn't a function.")
    function: Handler = found
    return function


def pipeline_handler(path: Path, *, stop: threading.Event) -> Handler:
    """Return a handler that runs the pipeline file at `path`, and fails where the run does.

    It waits for files that another worker holds: who says that a file is there wants it delivered, and that worker may
    die.

    Raises:
        ConfigurationError: the file can't be used.
    """
    from fc_connect.pipeline import Pipeline

    Pipeline.from_file(path)  # its faults are told before the first event

    def run(_: QueuedEvent) -> None:
        result = Pipeline.from_file(path, stop=stop).run(wait=True)
        if result.stopped:
            raise StoppedError(f"{path.name}: stopped; the next run carries on.")
        if not result.success:
            raise RunError(f"{path.name}: {'; '.join(map(str, result.errors)) or 'the run failed'}")

    return run


def _load_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"fc_connect_handlers_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
