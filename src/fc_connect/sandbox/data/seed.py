"""Reading a seed: JSON or YAML, or the one that comes along."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError

__all__ = ["DEMO", "read_seed"]

DEMO = "demo"


def read_seed(source: str | Path) -> dict[str, Any]:
    """Return the lists of a seed file, or of `demo`: a small retailer with shops, products, stock and orders.

    Raises:
        ConfigurationError: the file can't be read, or holds no object.
    """
    try:
        if str(source) == DEMO:
            text = (resources.files("fc_connect.sandbox.data") / "demo.json").read_text("utf-8")
        else:
            text = Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"The seed {source} can't be read: {exc}. Give a JSON or YAML file, or {DEMO}."
        ) from exc
    try:
        content = _parsed(text, is_yaml=Path(source).suffix in {".yaml", ".yml"})
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"The seed {source} can't be read: {exc}") from exc
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigurationError(f'The seed {source} must be an object of lists: {{"locations": [...]}}.')
    return content


def _parsed(text: str, *, is_yaml: bool) -> Any:
    if not is_yaml:
        return json.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ValueError(str(exc)) from exc
