"""Mapping: what a record becomes, written as data, compiled once, strict about what it can't read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.mapping.aliases import AliasedResponse, AliasResult, parse_aliased_response
    from fc_connect.mapping.analyze import FieldProfile, SourceProfiler, records_in
    from fc_connect.mapping.batch_entities import batch_entity_type, batch_schema
    from fc_connect.mapping.builder import (
        Resolution,
        ResolverBuilder,
        ResolverEngine,
        combine_resolvers,
        resolver,
    )
    from fc_connect.mapping.compat_paths import PathResolutionError, UniversalPathResolver
    from fc_connect.mapping.config import CompatMapping, FieldConfig, MappingConfig
    from fc_connect.mapping.coverage import Coverage, coverage_of
    from fc_connect.mapping.draft import Draft, DraftOptions, draft_for_type
    from fc_connect.mapping.draft_files import (
        draft_entity_file,
        draft_mutation_file,
        draft_query_file,
        draft_sample_file,
        operation_in,
    )
    from fc_connect.mapping.encoding import encode_entity
    from fc_connect.mapping.entity_check import check_entity, check_value
    from fc_connect.mapping.fit import Finding, check_extract, check_fit
    from fc_connect.mapping.inspect_file import Expectation, Inspection, inspect_mapping
    from fc_connect.mapping.mapper import Mapper, MapResult, Reject, UniversalMapper, compile_mapping
    from fc_connect.mapping.mapping_file import load_mapping
    from fc_connect.mapping.mutation import GraphQLMutationMapper
    from fc_connect.mapping.mutation_config import ConfigReport, assert_valid_config, validate_mapping_config
    from fc_connect.mapping.mutation_results import (
        AliasedRequest,
        MutationBatch,
        MutationOutcome,
        MutationReject,
        MutationRequest,
        NodesOutcome,
    )
    from fc_connect.mapping.outline import Outline, outline_of, read_outline
    from fc_connect.mapping.paths import Path, parse_path
    from fc_connect.mapping.projection import fields_read
    from fc_connect.mapping.resolvers import resolver_names
    from fc_connect.mapping.schema import (
        INTROSPECTION_QUERY,
        SchemaFile,
        check_document,
        describe_schema,
        input_type,
        load_schema,
        mutation_field,
        object_type,
        read_schema_file,
        schema_file_text,
    )
    from fc_connect.mapping.trace import FieldTrace, explain
    from fc_connect.mapping.values import ABSENT
    from fc_connect.mapping.xml_records import read_xml

__all__ = [
    "ABSENT",
    "INTROSPECTION_QUERY",
    "AliasResult",
    "AliasedRequest",
    "AliasedResponse",
    "CompatMapping",
    "ConfigReport",
    "Coverage",
    "Draft",
    "DraftOptions",
    "Expectation",
    "FieldConfig",
    "FieldProfile",
    "FieldTrace",
    "Finding",
    "GraphQLMutationMapper",
    "Inspection",
    "MapResult",
    "Mapper",
    "MappingConfig",
    "MutationBatch",
    "MutationOutcome",
    "MutationReject",
    "MutationRequest",
    "NodesOutcome",
    "Outline",
    "Path",
    "PathResolutionError",
    "Reject",
    "Resolution",
    "ResolverBuilder",
    "ResolverEngine",
    "SchemaFile",
    "SourceProfiler",
    "UniversalMapper",
    "UniversalPathResolver",
    "assert_valid_config",
    "batch_entity_type",
    "batch_schema",
    "check_document",
    "check_entity",
    "check_extract",
    "check_fit",
    "check_value",
    "combine_resolvers",
    "compile_mapping",
    "coverage_of",
    "describe_schema",
    "draft_entity_file",
    "draft_for_type",
    "draft_mutation_file",
    "draft_query_file",
    "draft_sample_file",
    "encode_entity",
    "explain",
    "fields_read",
    "input_type",
    "inspect_mapping",
    "load_mapping",
    "load_schema",
    "mutation_field",
    "object_type",
    "operation_in",
    "outline_of",
    "parse_aliased_response",
    "parse_path",
    "read_outline",
    "read_schema_file",
    "read_xml",
    "records_in",
    "resolver",
    "resolver_names",
    "schema_file_text",
    "validate_mapping_config",
]

_HOMES = {
    "ABSENT": "values",
    "AliasResult": "aliases",
    "AliasedRequest": "mutation_results",
    "AliasedResponse": "aliases",
    "CompatMapping": "config",
    "ConfigReport": "mutation_config",
    "Coverage": "coverage",
    "Draft": "draft",
    "DraftOptions": "draft",
    "Expectation": "inspect_file",
    "FieldConfig": "config",
    "FieldProfile": "analyze",
    "FieldTrace": "trace",
    "Finding": "fit",
    "GraphQLMutationMapper": "mutation",
    "INTROSPECTION_QUERY": "schema",
    "Inspection": "inspect_file",
    "MapResult": "mapper",
    "Mapper": "mapper",
    "MappingConfig": "config",
    "MutationBatch": "mutation_results",
    "MutationOutcome": "mutation_results",
    "MutationReject": "mutation_results",
    "MutationRequest": "mutation_results",
    "NodesOutcome": "mutation_results",
    "Outline": "outline",
    "Path": "paths",
    "PathResolutionError": "compat_paths",
    "Reject": "mapper",
    "Resolution": "builder",
    "ResolverBuilder": "builder",
    "ResolverEngine": "builder",
    "SchemaFile": "schema",
    "SourceProfiler": "analyze",
    "UniversalMapper": "mapper",
    "UniversalPathResolver": "compat_paths",
    "assert_valid_config": "mutation_config",
    "batch_entity_type": "batch_entities",
    "batch_schema": "batch_entities",
    "check_document": "schema",
    "check_entity": "entity_check",
    "check_extract": "fit",
    "check_fit": "fit",
    "check_value": "entity_check",
    "combine_resolvers": "builder",
    "compile_mapping": "mapper",
    "coverage_of": "coverage",
    "describe_schema": "schema",
    "draft_entity_file": "draft_files",
    "draft_for_type": "draft",
    "draft_mutation_file": "draft_files",
    "draft_query_file": "draft_files",
    "draft_sample_file": "draft_files",
    "encode_entity": "encoding",
    "explain": "trace",
    "fields_read": "projection",
    "input_type": "schema",
    "inspect_mapping": "inspect_file",
    "load_mapping": "mapping_file",
    "load_schema": "schema",
    "mutation_field": "schema",
    "object_type": "schema",
    "operation_in": "draft_files",
    "outline_of": "outline",
    "parse_aliased_response": "aliases",
    "parse_path": "paths",
    "read_outline": "outline",
    "read_schema_file": "schema",
    "read_xml": "xml_records",
    "records_in": "analyze",
    "resolver": "builder",
    "resolver_names": "resolvers",
    "schema_file_text": "schema",
    "validate_mapping_config": "mutation_config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
