"""The pipeline file: read, checked as a whole, every fault told at once with its line."""

from __future__ import annotations

from fc_connect.pipeline.config.formats import (
    CSVFormatConfig,
    FormatConfig,
    JSONFormatConfig,
    NDJSONFormatConfig,
    ParquetFormatConfig,
    XMLFormatConfig,
)
from fc_connect.pipeline.config.load import json_schema, load_config, parse_config
from fc_connect.pipeline.config.models import (
    AfterConfig,
    BatchTargetConfig,
    ConfirmConfig,
    FluentConfig,
    LeaseConfig,
    PipelineConfig,
    RejectsConfig,
    RetryConfig,
    TargetConfig,
)
from fc_connect.pipeline.config.sources import SourceConfig
from fc_connect.pipeline.config.values import RejectLimit

__all__ = [
    "AfterConfig",
    "BatchTargetConfig",
    "CSVFormatConfig",
    "ConfirmConfig",
    "FluentConfig",
    "FormatConfig",
    "JSONFormatConfig",
    "LeaseConfig",
    "NDJSONFormatConfig",
    "ParquetFormatConfig",
    "PipelineConfig",
    "RejectLimit",
    "RejectsConfig",
    "RetryConfig",
    "SourceConfig",
    "TargetConfig",
    "XMLFormatConfig",
    "json_schema",
    "load_config",
    "parse_config",
]
