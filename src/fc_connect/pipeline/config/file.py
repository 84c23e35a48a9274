"""What every configuration file has: a folder that its relative paths start from, and the address of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from fc_connect.pipeline.config.checks import revealed_state, store_address
from fc_connect.pipeline.config.section import Section
from fc_connect.pipeline.config.values import Text, base_dir_of

__all__ = ["ConfigFile", "StoreAddress"]

StoreAddress = Annotated[
    Text,
    BeforeValidator(revealed_state),
    AfterValidator(store_address),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""The URL of a store, or `file:<path>` to read it there. It may hold a password."""


class ConfigFile(Section):
    """The whole of a file."""

    _base_dir: Path = PrivateAttr()

    @model_validator(mode="after")
    def _note_base_dir(self, info: ValidationInfo) -> Self:
        self._base_dir = base_dir_of(info)
        return self

    @property
    def base_dir(self) -> Path:
        """Folder of the file, absolute: relative paths start here."""
        return self._base_dir
