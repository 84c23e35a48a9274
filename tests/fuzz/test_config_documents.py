"""The pipeline file: random text, and valid files with something wrong in them."""

from __future__ import annotations

import contextlib
import json
import string
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.pipeline.config import PipelineConfig, load_config, parse_config
from fc_connect.pipeline.config.document import MAX_BYTES
from tests.fuzz.effort import examples

SECRET = "CaNaRy7f3a"
VALID: dict[str, Any] = {
    "pipeline": "inventory",
    "source": {"url": "inbox", "pattern": "*.csv", "min_age": "30s", "endpoint_url": "http://localhost:9000"},
    "format": {"type": "csv", "delimiter": ";", "encoding": "utf-8", "columns": ["a", "b"]},
    "mapping": {"fields": {"ref": {"source": "a", "required": True}}},
    "target": {"batch": {"size": 10, "event": None, "conditions": {"a": [1]}}},
    "rejects": {"max": "1%", "to": "rejects/"},
    "after": {"success": "archive/"},
    "fluent": {"base_url": "http://localhost", "client_id": "a", "client_secret": "b", "retailer_id": "1"},
    "key": ["locationRef"],
    "state": "sqlite:///state.db",
    "lease": {"timeout": "15m"},
    "resolvers": "os.path",
    "spool": "spool",
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["${X}", "${X:-y}", "${", "$${", "file:", "file:/dev/null", "file:\0", "1e9999%", "http://["]
    )
    | st.sampled_from(["\ud800", "x" * 5000, "~nobody/x", "x" * 300 + ".py", "\0.py", "../..", "redis://["])
    | st.just("1" * 5000 + "s")
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [(name,) for name in VALID] + [
    (name, inner) for name, value in VALID.items() if isinstance(value, dict) for inner in [*value, "no_such_key"]
]  # fmt: skip


def check(path: Path) -> PipelineConfig | str:
    """Load a file; what is wrong with it must name the file."""
    refusal: ConfigurationError | None = None
    try:
        config = load_config(path, environ={})
    except ConfigurationError as exc:
        refusal = exc
    if refusal is not None:
        assert path.name in str(refusal)
        return str(refusal)
    assert config.base_dir == path.parent
    assert isinstance(config.state_url, str)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@examples(400)
@given(
    st.sampled_from(["a.yaml", "a.json", "a.toml"]),
    st.text(max_size=200) | st.text(string.printable, max_size=200),
)
@example("a.yaml", 'a: "\\U0011FFFF"')
@example("a.yaml", "%YAML " + "1" * 5000 + ".1\n---\na")
@example("a.yaml", "a: &a [*a]")
@example("a.yaml", "<<: &a {<<: *a}")
@example("a.yaml", "? {a: 1}\n: 2")
@example("a.yaml", "- !!python/object/apply:os.system [id]")
@example("a.json", '{"a":' + "9" * 5000 + "}")
@example("a.json", '{"a": 1, "a": 2, "\\ud800": 3}')
@example("a.toml", "a = " + "9" * 5000)
@example("a.toml", "a" + ".a" * 500 + " = 1")
def test_any_text_is_a_config_or_an_error_that_names_the_file(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    check(path)


@examples(200)
@given(st.sampled_from(["a.yaml", "a.json", "a.toml"]), st.binary(max_size=100))
def test_any_bytes_are_a_config_or_an_error_that_names_the_file(
    folder: Path, name: str, content: bytes
) -> None:
    path = folder / name
    path.write_bytes(content)

    check(path)


@examples(500)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3), st.booleans())
@example([(("target", "batch"), {"conditions": {"a": eval("[" * 90 + "]" * 90)}})], True)
@example([(("resolvers",), "x" * 300 + ".py")], True)
@example([(("rejects", "to"), "\ud800")], True)
def test_a_valid_file_with_wrong_values_is_refused_with_the_line(
    folder: Path, changes: list[tuple[tuple[str, ...], Any]], as_yaml: bool
) -> None:
    content = json.loads(json.dumps(VALID))
    for at, value in changes:
        target = content
        for part in at[:-1]:
            target = target[part] if isinstance(target.get(part), dict) else content
        target[at[-1]] = value
    path = folder / ("a.yaml" if as_yaml else "a.json")
    text = yaml.safe_dump(content, allow_unicode=False) if as_yaml else json.dumps(content, indent=1)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    said = check(path)

    if isinstance(said, str) and "problem" in said:
        assert all(
            line.startswith(f"  - {path}") for line in said.splitlines()[1:] if line.startswith("  - ")
        )


@examples(300)
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(list(VALID)), VALUES, max_size=5))
def test_a_config_at_hand_is_checked_like_a_file(folder: Path, data: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigurationError):
        assert parse_config({**VALID, **data}, base_dir=folder, environ={"X": "y"}).base_dir == folder


@examples(300)
@given(
    st.sampled_from(["client_secret", "password", "state", "secret_access_key"]),
    st.sampled_from([*"*&!0%@`|>[{'", '"', "!!", "2026-01-01", "? ", "- ", "1_"]),
    st.sampled_from(["", " x", "\n", ": ", "'", "]", ", a", " #", "\t"]),
)  # fmt: skip
@example("client_secret", "*", "")
@example("client_secret", "!", " x")
@example("password", "&", "\npassword: &CaNaRy7f3a x")
def test_a_secret_that_is_not_quoted_is_never_repeated(
    folder: Path, key: str, before: str, after: str
) -> None:
    for name, text in (
        ("a.yaml", f"fluent:\n  {key}: {before}{SECRET}{after}\n"),
        ("a.yaml", f"{key}: {before}{SECRET}{after}\n"),
        ("a.toml", f"[fluent]\n{key} = {before}{SECRET}{after}\n"),
        ("a.json", f'{{"fluent": {{"{key}": {before}{SECRET}{after}}}}}'),
    ):
        path = folder / name
        path.write_text(text)

        assert SECRET not in str(check(path))


@pytest.mark.parametrize(
    "text", ["0123456789", "2026-01-01", "1_000_000", "yes", "!s3cret x", "*s3cret", "0x1f"]
)
def test_a_secret_that_yaml_reads_as_something_else_is_never_repeated(folder: Path, text: str) -> None:
    path = folder / "a.yaml"
    path.write_text(f"fluent:\n  client_secret: {text}\n")

    said = check(path)

    assert isinstance(said, str)
    assert text.split()[0].strip("*!") not in said.replace(str(path), "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.yaml", "[" * 500_000, id="brackets"),
        pytest.param("a.yaml", "- " * 100_000, id="dashes"),
        pytest.param("a.yaml", "a: " + "{a: " * 200 + "}" * 200, id="deep"),
        pytest.param("a.json", "[" * 1_000_000, id="json-brackets"),
        pytest.param("a.json", '{"a":' * 300 + "1" + "}" * 300, id="json-deep"),
        pytest.param("a.toml", "a" + ".a" * 2000 + " = 1", id="toml-dotted"),
        pytest.param("a.toml", "a = " + "[" * 500 + "]" * 500, id="toml-deep"),
        pytest.param(
            "a.yaml",
            "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
            id="bomb",
        ),
        pytest.param(
            "a.yaml",
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 30)),
            id="merges",
        ),
    ],
)  # fmt: skip
def test_bombs_and_deep_nesting_are_refused_at_once(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    began = time.process_time()

    said = check(path)

    assert isinstance(said, str)
    assert time.process_time() - began < 15


def test_a_file_beyond_the_limit_is_not_read_on(folder: Path) -> None:
    path = folder / "large.yaml"
    with path.open("wb") as file:
        file.truncate(50 * MAX_BYTES)  # sparse: takes no room
    began = time.monotonic()

    said = check(path)

    assert "larger than 1 MiB" in str(said)
    assert time.monotonic() - began < 1
