"""Pipelines: what moves files into Fluent, each exactly once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.pipeline.checkup import Check
    from fc_connect.pipeline.config import PipelineConfig, load_config
    from fc_connect.pipeline.entities import Preflight, PreflightProblem, preflight
    from fc_connect.pipeline.pipeline import Pipeline, Preview, PreviewRow
    from fc_connect.pipeline.result import FileOutcome, FileResult, RunResult
    from fc_connect.pipeline.workers import run_workers

__all__ = [
    "Check",
    "FileOutcome",
    "FileResult",
    "Pipeline",
    "PipelineConfig",
    "Preflight",
    "PreflightProblem",
    "Preview",
    "PreviewRow",
    "RunResult",
    "load_config",
    "preflight",
    "run_workers",
]

_HOMES = {
    "Check": "checkup",
    "FileOutcome": "result",
    "FileResult": "result",
    "Pipeline": "pipeline",
    "PipelineConfig": "config",
    "Preflight": "entities",
    "PreflightProblem": "entities",
    "Preview": "pipeline",
    "PreviewRow": "pipeline",
    "RunResult": "result",
    "load_config": "config",
    "preflight": "entities",
    "run_workers": "workers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
