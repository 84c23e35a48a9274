"""What all sections of the pipeline file have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

__all__ = ["Fault", "Section"]

Fault = tuple[str, str]
"""The key that is wrong, and what about it."""


class Section(BaseModel):
    """A part of the pipeline file: unknown keys are refused, values never change."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        # What pydantic itself prints must not repeat a secret.
        hide_input_in_errors=True,
    )

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield what is wrong between keys; `given` are the raw values, without defaults."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _with_faults(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # A plain `after` validator runs only once every field is right; a person wants to hear all at once.
        found = list(cls.faults(data)) if isinstance(data, Mapping) else []
        details = [
            InitErrorDetails(
                type=PydanticCustomError("fault", "{text}", {"text": text}), loc=(key,), input=None
            )
            for key, text in found
        ]
        try:
            section = handler(data)
        except ValidationError as exc:
            details = [*_details_of(exc), *details]
        else:
            if not details:
                return section
        raise ValidationError.from_exception_data(cls.__name__, details, hide_input=True)


_KNOWN = frozenset(get_args(ErrorType))


def _details_of(error: ValidationError) -> Iterator[InitErrorDetails]:
    for each in error.errors(include_url=False):
        context = each.get("ctx", {})
        kind: Any = each["type"]
        if kind == "fault":
            kind = PydanticCustomError("fault", "{text}", context)
        elif kind not in _KNOWN:  # only those of the core can be raised again as they are
            kind = PydanticCustomError("fault", "{text}", {"text": each["msg"]})
        yield InitErrorDetails(type=kind, loc=each["loc"], input=each["input"], ctx=context)
