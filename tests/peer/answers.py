"""What compat mode gives for a case, in the format of the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fc_connect.errors import FCConnectError
from fc_connect.mapping import UniversalMapper
from fc_connect.mapping.aliases import parse_aliased_response
from fc_connect.mapping.compat_paths import UniversalPathResolver
from fc_connect.mapping.mutation import GraphQLMutationMapper
from fc_connect.mapping.mutation_config import validate_mapping_config
from fc_connect.mapping.toolbox import HELPERS
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml
from tests.mapping_cases import decoded, encoded
from tests.test_mapping_compat import FIXTURES

__all__ = ["answer"]

ENVIRONMENT = {"FACTS_ENV_VAR": "from-env"}
CUSTOM = {name.replace("test.", "custom."): function for name, function in FIXTURES.items()}


def answer(case: Mapping[str, Any]) -> Any:
    """Return our output for a case. What we raise is an error there; a bug of ours shows as `$bug`."""
    context = decoded(case["context"]) if "context" in case else None
    try:
        return encoded(_KINDS[case["kind"]](decoded(case["config"]), decoded(case["input"]), context))
    except FCConnectError as exc:
        return {"$error": type(exc).__name__, "message": str(exc)}
    except Exception as exc:  # noqa: BLE001 (whatever it is, it is a bug that the comparison shows)
        return {"$bug": repr(exc)}


def _universal(config: Any, data: Any, context: Any) -> Any:
    return UniversalMapper(config, compat=True, resolvers=FIXTURES, context=context).map(data).to_dict()


def _universal_xml(config: Any, data: Any, context: Any) -> Any:
    return UniversalMapper(config, compat=True).map(read_xml(data, coerce=True)).to_dict()


def _mutation(config: Any, data: Any, context: Any) -> Any:
    return GraphQLMutationMapper(config, compat=True, environment=ENVIRONMENT).map(data).to_dict()


def _batch(config: Any, data: Any, context: Any) -> Any:
    return GraphQLMutationMapper(config, compat=True, environment=ENVIRONMENT).batch_map(data).to_dict()


def _nodes(config: Any, data: Any, context: Any) -> Any:
    mapper = GraphQLMutationMapper(config, compat=True, resolvers=CUSTOM, environment=ENVIRONMENT)
    return mapper.map_with_nodes(data, context=context).to_dict()


def _aliases(config: Any, data: Any, context: Any) -> Any:
    inputs = config["inputs"]
    inputs = None if inputs is ABSENT else inputs
    return parse_aliased_response(
        data, config["batchSize"], config["mutationName"], inputs, compat=True
    ).to_dict()


def _report(config: Any, data: Any, context: Any) -> Any:
    options = config.get("options", {})
    report = validate_mapping_config(
        config["config"],
        strict=options.get("strict", False),
        validate_resolvers=options.get("validateResolvers", False),
        known_resolvers=options.get("knownResolvers"),
    )
    return {
        "valid": report.valid,
        "errors": [[each.code, each.path] for each in report.errors],
        "warnings": [[each.code, each.path] for each in report.warnings],
    }


_KINDS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "universal": _universal,
    "universal_xml": _universal_xml,
    "json_path": lambda config, data, context: UniversalPathResolver("json").resolve(data, config["path"]),
    "xml_path": lambda config, data, context: UniversalPathResolver("xml").resolve(data, config["path"]),
    "helper": lambda config, data, context: HELPERS[config["helper"]](*data),
    "mutation_map": _mutation,
    "nodes_map": _nodes,
    "batch_map": _batch,
    "alias_parse": _aliases,
    "validate_config": _report,
}
