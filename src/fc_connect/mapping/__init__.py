"""Mapping: what a record becomes, written as data, compiled once, strict about what it can't read."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.mapping.aliases import AliasedResponse, AliasResult, parse_aliased_response
    from fc_connect.mapping.builder import (
        Resolution,
        ResolverBuilder,
        ResolverEngine,
        combine_resolvers,
        resolver,
    )
    from fc_connect.mapping.config import CompatMapping, FieldConfig, MappingConfig, load_mapping
    from fc_connect.mapping.encoding import encode_entity
    from fc_connect.mapping.entity_check import check_entity
    from fc_connect.mapping.mapper import Mapper, MapResult, Reject, UniversalMapper, compile_mapping
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
    from fc_connect.mapping.paths import Path, parse_path
    from fc_connect.mapping.resolvers import resolver_names
    from fc_connect.mapping.schema import (
        INTROSPECTION_QUERY,
        SchemaFile,
        check_document,
        describe_schema,
        load_schema,
        read_schema_file,
        schema_file_text,
    )
    from fc_connect.mapping.trace import FieldTrace, explain
    from fc_connect.mapping.values import ABSENT

__all__ = [
    "ABSENT",
    "INTROSPECTION_QUERY",
    "AliasResult",
    "AliasedRequest",
    "AliasedResponse",
    "CompatMapping",
    "ConfigReport",
    "FieldConfig",
    "FieldTrace",
    "GraphQLMutationMapper",
    "MapResult",
    "Mapper",
    "MappingConfig",
    "MutationBatch",
    "MutationOutcome",
    "MutationReject",
    "MutationRequest",
    "NodesOutcome",
    "Path",
    "Reject",
    "Resolution",
    "ResolverBuilder",
    "ResolverEngine",
    "SchemaFile",
    "UniversalMapper",
    "assert_valid_config",
    "check_document",
    "check_entity",
    "combine_resolvers",
    "compile_mapping",
    "describe_schema",
    "encode_entity",
    "explain",
    "load_mapping",
    "load_schema",
    "parse_aliased_response",
    "parse_path",
    "read_schema_file",
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
    "FieldConfig": "config",
    "FieldTrace": "trace",
    "GraphQLMutationMapper": "mutation",
    "INTROSPECTION_QUERY": "schema",
    "MapResult": "mapper",
    "Mapper": "mapper",
    "MappingConfig": "config",
    "MutationBatch": "mutation_results",
    "MutationOutcome": "mutation_results",
    "MutationReject": "mutation_results",
    "MutationRequest": "mutation_results",
    "NodesOutcome": "mutation_results",
    "Path": "paths",
    "Reject": "mapper",
    "Resolution": "builder",
    "ResolverBuilder": "builder",
    "ResolverEngine": "builder",
    "SchemaFile": "schema",
    "UniversalMapper": "mapper",
    "assert_valid_config": "mutation_config",
    "check_document": "schema",
    "check_entity": "entity_check",
    "combine_resolvers": "builder",
    "compile_mapping": "mapper",
    "describe_schema": "schema",
    "encode_entity": "encoding",
    "explain": "trace",
    "load_mapping": "config",
    "load_schema": "schema",
    "parse_aliased_response": "aliases",
    "parse_path": "paths",
    "read_schema_file": "schema",
    "resolver": "builder",
    "resolver_names": "resolvers",
    "schema_file_text": "schema",
    "validate_mapping_config": "mutation_config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
