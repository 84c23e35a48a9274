"""fc-connect: files go into and come out of Fluent Commerce, each exactly once.

from fc_connect import Pipeline

result = Pipeline.from_file("pipeline.yaml").run()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.errors import FCConnectError
    from fc_connect.fluent import Credentials, FluentClient
    from fc_connect.formats import open_format
    from fc_connect.formats.csv import CSVFormat
    from fc_connect.kv import KVStore, open_kv
    from fc_connect.mapping import MappingConfig, compile_mapping, load_mapping
    from fc_connect.pipeline import FileOutcome, FileResult, Pipeline, PipelineConfig, RunResult, load_config
    from fc_connect.sandbox import Fault, FaultKind, Sandbox
    from fc_connect.sources import Source, SourceFile, open_source
    from fc_connect.state import FileRecord, FileStatus, JobTracker, Lease, StateService, SyncState
    from fc_connect.targets import BatchTarget

    __version__: str

_HOMES = {
    "BatchTarget": "targets",
    "CSVFormat": "formats.csv",
    "Credentials": "fluent",
    "FCConnectError": "errors",
    "Fault": "sandbox",
    "FaultKind": "sandbox",
    "FileOutcome": "pipeline",
    "FileRecord": "state",
    "FileResult": "pipeline",
    "FileStatus": "state",
    "FluentClient": "fluent",
    "JobTracker": "state",
    "KVStore": "kv",
    "Lease": "state",
    "MappingConfig": "mapping",
    "Pipeline": "pipeline",
    "PipelineConfig": "pipeline",
    "RunResult": "pipeline",
    "Sandbox": "sandbox",
    "Source": "sources",
    "SourceFile": "sources",
    "StateService": "state",
    "SyncState": "state",
    "compile_mapping": "mapping",
    "load_config": "pipeline",
    "load_mapping": "mapping",
    "open_format": "formats",
    "open_kv": "kv",
    "open_source": "sources",
}

__all__ = [
    "BatchTarget",
    "CSVFormat",
    "Credentials",
    "FCConnectError",
    "Fault",
    "FaultKind",
    "FileOutcome",
    "FileRecord",
    "FileResult",
    "FileStatus",
    "FluentClient",
    "JobTracker",
    "KVStore",
    "Lease",
    "MappingConfig",
    "Pipeline",
    "PipelineConfig",
    "RunResult",
    "Sandbox",
    "Source",
    "SourceFile",
    "StateService",
    "SyncState",
    "compile_mapping",
    "load_config",
    "load_mapping",
    "open_format",
    "open_kv",
    "open_source",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("fc-connect")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
