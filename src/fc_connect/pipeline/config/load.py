"""From a file to a checked configuration, or to one error that lists all that is wrong with it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from fc_connect.errors import ConfigurationError
from fc_connect.pipeline.config.document import Document, Location, SyntaxFault, demand_shallow, read_document
from fc_connect.pipeline.config.models import PipelineConfig
from fc_connect.pipeline.config.problems import Found, dotted, problems_of
from fc_connect.pipeline.config.section import Section
from fc_connect.pipeline.config.substitution import substitute

__all__ = ["json_schema", "load_config", "load_section", "parse_config", "parse_section"]

S = TypeVar("S", bound=Section)

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


def load_config(path: str | Path, *, environ: Mapping[str, str] | None = None) -> PipelineConfig:
    """Read the pipeline file at `path` (YAML, JSON or TOML).

    Relative paths in it start from its folder; `environ` is the process's own where it isn't given.

    Raises:
        ConfigurationError: every fault, each as `file:line: key: what was expected`.
    """
    return load_section(path, PipelineConfig, environ=environ)


def load_section(path: str | Path, model: type[S], *, environ: Mapping[str, str] | None = None) -> S:
    """Read a file that is one section, as `load_config` reads a pipeline file; errors likewise."""
    file = Path(path)
    document = read_document(file)
    return _checked(document, model, name=str(file), base_dir=file.absolute().parent, environ=environ)


def parse_config(
    data: Mapping[str, Any],
    *,
    base_dir: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    name: str = "pipeline",
) -> PipelineConfig:
    """Check a configuration that is at hand already; `name` stands where a file's would in messages.

    Raises:
        ConfigurationError: every fault.
    """
    return parse_section(data, PipelineConfig, base_dir=base_dir, environ=environ, name=name)


def parse_section(
    data: Mapping[str, Any],
    model: type[S],
    *,
    base_dir: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    name: str,
) -> S:
    """Check a section that is at hand already; errors as `parse_config`."""
    try:
        demand_shallow(dict(data))
    except SyntaxFault as exc:
        raise ConfigurationError(f"{name} {exc.reason}.") from exc
    document = Document(value=copy.deepcopy(dict(data)))
    base = Path.cwd() if base_dir is None else Path(base_dir).absolute()
    return _checked(document, model, name=name, base_dir=base, environ=environ)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the pipeline file, for editors."""
    schema = PipelineConfig.model_json_schema(by_alias=True)
    return {"$schema": SCHEMA_URL, "title": "Pipeline of fc-connect", **schema}


def _checked(
    document: Document, model: type[S], *, name: str, base_dir: Path, environ: Mapping[str, str] | None
) -> S:
    document.model = model
    first = next(iter(model.model_fields))
    if document.value is None and not document.problems:
        raise ConfigurationError(f"{name} is empty. A {first} file begins with `{first}: <name>`.")
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{name} must hold keys and values, such as `{first}: <name>`.")
    from_environment = substitute(document, os.environ if environ is None else environ)
    found: list[Found] = list(document.problems)
    try:
        config = model.model_validate(document.value, context={"base_dir": base_dir})
    except ValidationError as exc:
        told = {at for at, _ in found}
        invalid = problems_of(exc, document, from_environment=from_environment)
        found += [each for each in invalid if not _is_below(each[0], told)]
    else:
        if not found:
            return config
    # Without the cause: pydantic's own text could repeat values of the file.
    raise _error(name, document, found) from None


def _is_below(at: Location, told: set[Location]) -> bool:
    """Say whether a fault only follows from one that is told already."""
    return any(at[: len(each)] == each for each in told if each)


def _error(name: str, document: Document, found: list[Found]) -> ConfigurationError:
    placed = [(document.line_of(at), dotted(at), text) for at, text in dict.fromkeys(found)]
    placed.sort(key=lambda each: each[0] or 0)
    problems = [
        f"{name if line is None else f'{name}:{line}'}: {f'{key}: ' if key else ''}{text}"
        for line, key, text in placed
    ]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigurationError(f"{name} can't be used ({count}):", problems=problems)
