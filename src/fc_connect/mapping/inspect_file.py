"""One mapping file as a whole: its format, and how it fits the types that take its entities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graphql import GraphQLInputObjectType, GraphQLSchema, get_named_type

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.batch_entities import batch_entity_type
from fc_connect.mapping.coverage import Coverage, coverage_of
from fc_connect.mapping.fit import FieldState, Finding, Fit, check_extract, check_fit
from fc_connect.mapping.mapper import compile_mapping
from fc_connect.mapping.mapping_file import load_mapping
from fc_connect.mapping.mutation import GraphQLMutationMapper
from fc_connect.mapping.mutation_config import ConfigIssue, validate_mapping_config
from fc_connect.mapping.outline import Outline, read_outline
from fc_connect.mapping.schema import input_type, mutation_field, object_type
from fc_connect.mapping.trial import Trial, context_names, try_records

__all__ = ["Expectation", "Inspection", "inspect_mapping"]

_TEXT_FORMATS = {"csv", "xml", None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a mapping is held against; what the file itself says counts where this says nothing."""

    schema: GraphQLSchema | None = None
    type_name: str | None = None
    entity_type: str | None = None
    columns: Sequence[str] | None = None
    """Of the files that it will read, where they have columns."""
    records: Sequence[Mapping[str, Any]] | None = None
    """A sample, which is mapped."""
    resolvers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Inspection:
    """What was found about one mapping file."""

    file: str
    operation: str = ""
    direction: str = "ingest"
    against: str = ""
    """Name of the type, or types; empty where there was none to hold it against."""
    findings: list[Finding] = field(default_factory=list)
    fields: list[FieldState] = field(default_factory=list)
    trial: Trial | None = None
    """What became of the records of a sample; None where none was tried."""

    @property
    def errors(self) -> list[Finding]:
        return [each for each in self.findings if each.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        return [each for each in self.findings if each.severity == "warning"]

    @property
    def coverage(self) -> Coverage:
        return coverage_of(self.fields, file=self.file, operation=self.operation, direction=self.direction)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "file": self.file,
            "valid": not self.errors,
            "against": self.against or None,
            "errors": [each.to_dict() for each in self.errors],
            "warnings": [each.to_dict() for each in self.warnings],
            "stats": self.coverage.stats(),
            **({} if self.trial is None else {"sample": self.trial.stats()}),
        }

    def take(self, fit: Fit) -> None:
        self.findings += fit.findings
        self.fields += fit.fields


def inspect_mapping(path: Path, expected: Expectation) -> Inspection:
    """Check a mapping file: its format, and against the schema where there is one.

    Faults of the mapping are findings; what keeps it from being looked at is raised.

    Raises:
        ConfigurationError: the file can't be read, or the schema hasn't the types that it is for.
    """
    outline, content = read_outline(path)
    found = Inspection(file=str(path), operation=outline.operation or "", direction=outline.direction)
    if outline.kind == "mutation":
        produce = _mutation_format(found, content, expected)
        types = _against_mutation(found, outline, expected)
    elif outline.direction == "extract":
        produce = _universal_format(found, path, content, expected)
        types = _against_record(found, outline, expected)
    else:
        produce = _universal_format(found, path, content, expected)
        types = _against_input(found, outline, expected)
    is_open = any(each.code == "TODO" for each in found.findings)
    if expected.records is not None and produce is not None and not is_open:
        found.trial = try_records(expected.records, produce, types)
        found.findings += found.trial.findings
    return found


def _universal_format(
    found: Inspection, path: Path, content: Mapping[str, Any], expected: Expectation
) -> Callable[[Any], Any] | None:
    """Check the format; return what maps a record, where that can be had here."""
    # What the pipeline or the store will give isn't known here, and no fault of the mapping.
    context = dict.fromkeys(context_names(content))
    try:
        config = load_mapping(path)
        tables: dict[str, dict[str, Any]] = {each.kv: {} for each in config.lookups if each.kv is not None}
        mapper = compile_mapping(
            config,
            columns=expected.columns,
            resolvers=expected.resolvers,
            context=context,
            tables=tables,
            imports=False,
        )
    except ConfigurationError as exc:
        found.findings += [_fault(each) for each in exc.problems or (str(exc),)]
        return None
    if context or tables:
        if expected.records is not None:
            why = "it reads $context or a table of the state store, which aren't there"
            found.findings.append(_warning("SAMPLE_NOT_TRIED", f"the sample wasn't mapped: {why}"))
        return None
    if expected.columns is not None:
        return lambda record: mapper(list(record.values()))
    return mapper


def _mutation_format(
    found: Inspection, content: Mapping[str, Any], expected: Expectation
) -> Callable[[Any], Any] | None:
    report = validate_mapping_config(content)
    # The TypeScript SDK knows resolvers by name alone; whether what is written can be used is seen below.
    errors = [each for each in report.errors if each.code != "FIELD_RESOLVER_INVALID_TYPE"]
    issues = [_issue(each, "error") for each in errors] + [
        _issue(each, "warning") for each in report.warnings
    ]
    found.findings += issues
    if any(each.code.startswith("SOURCE_FORMAT") for each in errors):
        return None  # the mapper says the same, and nothing more
    context = dict.fromkeys(context_names(content))
    try:
        mapper = GraphQLMutationMapper(
            content,
            resolvers=expected.resolvers,
            environment=_AnyVariable(),
            context=context,
            imports=False,
        )
    except ConfigurationError as exc:
        told = {each.path for each in issues}
        faults = [_fault(each) for each in exc.problems or (str(exc),)]
        found.findings += [each for each in faults if each.path not in told]
        return None
    return None if context else lambda record: mapper.map(record).variables


def _fault(problem: str) -> Finding:
    path, colon, said = problem.partition(": ")
    if not colon or " " in path:
        return Finding(severity="error", code="FORMAT", path="", message=problem)
    return Finding(severity="error", code="FORMAT", path=path.removeprefix("fields."), message=said)


def _issue(issue: ConfigIssue, severity: Literal["error", "warning"]) -> Finding:
    return Finding(severity=severity, code=issue.code, path=issue.path or "", message=issue.message)


def _warning(code: str, message: str) -> Finding:
    return Finding(severity="warning", code=code, path="", message=message)


class _AnyVariable(dict[str, str]):
    """An environment that has every variable: which ones there will be is up to whoever runs the mapping."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return ""


def _against_mutation(found: Inspection, outline: Outline, expected: Expectation) -> dict[str, Any]:
    """Check the arguments; return the types of the variables."""
    schema = expected.schema
    if schema is None:
        return {}
    known = mutation_field(schema, outline.operation or "").args
    against = []
    for name, root in outline.roots.items():
        fit = Fit()
        if name not in known:
            fit.suggest("UNKNOWN_ARGUMENT", name, f"{outline.operation} takes no such argument", known, name)
        else:
            wanted, given = str(known[name].type), outline.types.get(name)
            if given is not None and given.rstrip("!") != wanted.rstrip("!"):
                fit.add(
                    "error", "TYPE_MISMATCH", name, f"is of the type {given} here, and {wanted} in the schema"
                )
            inner = get_named_type(known[name].type)
            against.append(inner.name)
            prefix = name if len(outline.roots) > 1 else ""
            if isinstance(inner, GraphQLInputObjectType):
                is_text = outline.source_format in {"csv", "xml"}
                found.take(check_fit(root, inner, prefix=prefix, is_text_source=is_text))
            else:
                fit.fields.append(
                    FieldState(
                        path=name, type=wanted, required=wanted.endswith("!"), mapped=True, description=None
                    )
                )
        found.take(fit)
    missing = Fit()
    for name, argument in known.items():
        if name not in outline.roots and str(argument.type).endswith("!"):
            missing.add(
                "error", "REQUIRED_ARGUMENT_MISSING", name, f"{outline.operation} needs it ({argument.type})"
            )
            missing.fields.append(
                FieldState(path=name, type=str(argument.type), required=True, mapped=False, description=None)
            )
    found.take(missing)
    found.against = ", ".join(against)
    return {name: argument.type for name, argument in known.items()}


def _against_record(found: Inspection, outline: Outline, expected: Expectation) -> dict[str, Any]:
    """Check the sources; what comes out of an extract has no type."""
    name = expected.type_name or outline.type_name
    if expected.schema is None:
        return {}
    if name is None:
        raise ConfigurationError(
            f"{found.file} doesn't say of which type its records are: --type, or `metadata: {{type: …}}` in the file."
        )
    record = object_type(expected.schema, name)
    found.against = record.name
    found.take(
        check_extract((each for root in outline.roots.values() for each in root.children.values()), record)
    )
    return {}


def _against_input(found: Inspection, outline: Outline, expected: Expectation) -> dict[str, Any]:
    """Check the targets; return the type of the entity, under no name."""
    name = expected.type_name or (None if expected.entity_type else outline.type_name)
    entity = expected.entity_type or outline.entity_type
    if name is not None and expected.schema is not None:
        wanted = input_type(expected.schema, name)
    elif name is None and entity is not None:
        wanted = batch_entity_type(entity)
        found.operation = found.operation or f"batch of {entity.upper()}"
    elif expected.schema is not None:
        raise ConfigurationError(
            f"{found.file} doesn't say which type takes its entities: --type, --entity, "
            "or `metadata: {type: …}` in the file."
        )
    else:
        return {}
    found.against = wanted.name
    found.operation = found.operation or wanted.name
    for root in outline.roots.values():
        found.take(check_fit(root, wanted, is_text_source=outline.source_format in _TEXT_FORMATS))
    return {"": wanted}
