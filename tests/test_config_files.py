"""Reading pipeline files: lines, the environment, secrets, and every way to get YAML, JSON or TOML wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.pipeline.config import PipelineConfig, load_config
from fc_connect.pipeline.config.document import Document, SyntaxFault
from fc_connect.pipeline.config.json_document import parse_json
from fc_connect.pipeline.config.toml_document import parse_toml
from fc_connect.pipeline.config.yaml_document import parse_yaml

GOOD = """\
pipeline: inventory
source: {url: in/}
mapping: {fields: {}}
target: {batch: {}}
fluent: {profile: P, retailer: r}
"""


def load(tmp_path: Path, text: str, *, name: str = "p.yaml", **environ: str) -> PipelineConfig:
    (tmp_path / name).write_text(text, "utf-8")
    return load_config(tmp_path / name, environ=environ)


def problems(tmp_path: Path, text: str, *, name: str = "p.yaml", **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, name=name, **environ)
    assert caught.value.__cause__ is None or "s3cr3t" not in str(caught.value.__cause__)
    return [each.removeprefix(f"{tmp_path}/") for each in caught.value.problems]


# Lines


def test_all_faults_of_a_yaml_file_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = """\
pipline: inventory
source:
  url: ${INPUT_FOLDER}
  min_age: 30
mapping:
  fields: {}
target:
  batch:
    entityType: INVENTORY
    size: 9000
    source: 5
fluent:
  profile: P
  retailer: r
job: dialy
retailer_id: x
"""

    assert problems(tmp_path, text) == [
        "p.yaml:1: pipeline: is required: Name of the pipeline; its state is kept under it",
        "p.yaml:1: pipline: there is no such key (did you mean 'pipeline'?)",
        "p.yaml:3: source.url: the environment has no INPUT_FOLDER: set it, or write ${INPUT_FOLDER:-default}",
        'p.yaml:4: source.min_age: expected a duration with its unit, got the bare number 30: write "30s"',
        "p.yaml:9: target.batch.entityType: there is no such key (did you mean 'entity_type'?)",
        "p.yaml:10: target.batch.size: expected at most 5,000, got 9000",
        'p.yaml:11: target.batch.source: expected text, got 5: write "5" in quotes',
        "p.yaml:15: job: expected one of daily, per-file, per-run, got 'dialy' (did you mean 'daily'?)",
        "p.yaml:16: retailer_id: there is no such key here (did you mean fluent.retailer_id?)",
    ]


def test_lines_are_told_for_json(tmp_path: Path) -> None:
    text = """{
  "pipeline": "x",
  "source": {"url": "in"},
  "mapping": {"a": "\\" } ] , : \\\\"},
  "key": [
    "a",
    5
  ],
  "target": {
    "batch": {
      "size": 0
    }
  },
  "fluent": {"profile": "P", "retailer": "r"}
}"""

    assert problems(tmp_path, text, name="p.json") == [
        "p.json:7: key[1]: expected text, got 5",
        "p.json:11: target.batch.size: expected at least 1, got 0",
    ]


def test_lines_are_told_for_toml(tmp_path: Path) -> None:
    text = '''\
pipeline = "x"  # a comment with = [ and "
key = [
  "a",  # ]
  5,
]
[source]
url = """
in"""
"min_age" = 5
[mapping]
[[mapping.list]]
a = \'\'\'it\'s
two lines\'\'\'
[target.batch]
size = 0
[fluent]
profile = "P"
retailer = "r"
timeout = "0s"
max_attempts = 1.5
'''

    assert problems(tmp_path, text, name="p.toml") == [
        "p.toml:4: key[1]: expected text, got 5",
        'p.toml:9: source.min_age: expected a duration with its unit, got the bare number 5: write "5s"',
        "p.toml:15: target.batch.size: expected at least 1, got 0",
        "p.toml:19: fluent.timeout: expected more than 0s, got '0s'",
        "p.toml:20: fluent.max_attempts: expected a whole number, got 1.5",
    ]


# YAML takes the characters that are left out for line ends.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


def places(value: Any, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {at}.union(*(places(each, (*at, key)) for key, each in inner))


@given(st.dictionaries(words, json_values, max_size=4), st.sampled_from([None, 2]))
def test_every_place_of_a_json_file_has_its_line(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    document = parse_json(text)

    assert document.value == value
    assert document.problems == []
    assert set(document.lines) == places(value)
    lines = text.split("\n")
    for at, line in document.lines.items():
        if at and isinstance(at[-1], str):
            assert json.dumps(at[-1]) in lines[line - 1]


@given(st.dictionaries(words, json_values, max_size=4))
def test_yaml_that_is_plain_reads_as_the_usual_parser_reads_it(value: dict[str, Any]) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)

    document = parse_yaml(text)

    assert document.problems == []
    assert document.value == yaml.safe_load(text) == value
    assert set(document.lines) == places(value)


@given(st.text(alphabet="ab.=[]{},\"'#\n \\1:-", max_size=60))
def test_toml_is_walked_in_step_with_the_usual_parser(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(SyntaxFault):
            parse_toml(text)
        return

    document = parse_toml(text)

    assert document.value == expected
    assert set(document.lines) == places(expected)


@pytest.mark.parametrize(
    "text",
    [
        "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\n[[a.e]]\nf = {g = [1, {h = 2}], i.j = 3}",
        'a."b.c".\'d\' = 1\n[x."y z"]\nt = 1979-05-27 07:32:00\nu = 1e5\nv = -1.5\n',
        "a = \"\"\"x\"\"\"\"\nb = 1\nc = '''y'''''\nd = 2",
        'a = """\\"""x"""\nb = "\\""\nc = """"""\nd = \'\'\nf = 1',
        "a = [\n  # ]\n  [1, 2],\r\n  [],\n]\r\nb = {}\n",
    ],
)
def test_every_place_of_a_toml_file_has_its_line(text: str) -> None:
    document = parse_toml(text)

    assert set(document.lines) == places(document.value)


# YAML's traps


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("no", 'YAML reads no as false: write "no" in quotes, or true or false'),
        ("On", 'YAML reads On as true: write "On" in quotes, or true or false'),
        ("0123", 'YAML reads 0123 as a number: write "0123" in quotes, or a plain number'),
        ("12:30:45", 'YAML reads 12:30:45 as a number: write "12:30:45" in quotes, or a plain number'),
        ("1_000", 'YAML reads 1_000 as a number: write "1_000" in quotes, or a plain number'),
        (
            "+61400111222",
            'YAML reads +61400111222 as a number: write "+61400111222" in quotes, or a plain number',
        ),
        ("0x1F", 'YAML reads 0x1F as a number: write "0x1F" in quotes, or a plain number'),
        (".inf", 'YAML reads .inf as a number: write ".inf" in quotes, or a plain number'),
        ("2026-01-15", 'YAML reads 2026-01-15 as a date: write "2026-01-15" in quotes'),
        ("true", 'expected text, got true: write "true" in quotes'),
        ("1.10", 'expected text, got 1.10: write "1.10" in quotes'),
        ("007", 'YAML reads 007 as a number: write "007" in quotes, or a plain number'),
        ("!!binary aGk=", "the tag 'tag:yaml.org,2002:binary' isn't supported"),
        (
            "!!python/object/apply:os.system [x]",
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system' isn't",
        ),
        ("!custom x", "the tag '!custom' isn't supported"),
    ],
)
def test_what_yaml_would_silently_change_is_refused(tmp_path: Path, written: str, problem: str) -> None:
    (found,) = problems(tmp_path, GOOD.replace("{url: in/}", f"\n  url: {written}"))

    assert found.startswith(f"p.yaml:3: source.url: {problem}")


@pytest.mark.parametrize("written", ["no", "0123", "2026-01-15", "1_000"])
def test_values_of_an_inline_mapping_are_no_less_safe(tmp_path: Path, written: str) -> None:
    text = GOOD.replace("{fields: {}}", f"\n  fields:\n    status:\n      value: {written}")

    assert problems(tmp_path, text)[0].startswith("p.yaml:6: mapping.fields.status.value: YAML reads")


def test_a_key_that_yaml_reads_as_something_else_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("{fields: {}}", "\n  fields:\n    on: {value: 1}\n    1: {value: 1}")

    assert problems(tmp_path, text) == [
        'p.yaml:5: mapping.fields.on: YAML reads this key as true: write "on"',
        'p.yaml:6: mapping.fields.1: YAML reads this key as a number: write "1"',
    ]


def test_quoted_text_is_taken_as_it_is(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace("{url: in/}", "{url: 'no', pattern: \"0123\"}"))

    assert (config.source.url, config.source.pattern) == ("no", "0123")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.yaml", GOOD + "order: any\norder: time\n"),
        ("p.json", '{"pipeline": "x",\n"order": "any",\n"order": "time"}'),
    ],
)
def test_a_repeated_key_is_refused(tmp_path: Path, name: str, text: str) -> None:
    found = problems(tmp_path, text, name=name)

    assert any("order: is given twice: first in line" in each for each in found)


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    text = GOOD.replace(
        "{fields: {}}",
        "\n  fields:\n    a: &a {source: x, required: true}\n    b: {<<: *a, source: y}\n    c: *a",
    )

    fields = load(tmp_path, text).mapping

    assert isinstance(fields, dict)
    assert fields["fields"]["b"] == {"source": "y", "required": True}
    assert fields["fields"]["c"] == {"source": "x", "required": True}


def test_aliases_cannot_blow_a_file_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    with pytest.raises(SyntaxFault, match="too large"):
        parse_yaml("\n".join(lines))


def test_an_alias_to_what_it_is_part_of_is_refused() -> None:
    with pytest.raises(SyntaxFault, match="part of"):
        parse_yaml("a: &a\n  b: *a\n")


# What isn't a file of its kind


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("p.yaml", "a: b: c\n", "p.yaml:1: mapping values are not allowed"),
        ("p.yaml", "a:\n\tb: 1\n", "p.yaml:2: "),
        ("p.yaml", "a: 1\n---\nb: 2\n", "p.yaml:"),
        ("p.yaml", "a: [1, 2\n", "p.yaml:"),
        ("p.yaml", "a: *nowhere\n", "p.yaml:1: "),
        ("p.yaml", "a: \x00\n", "p.yaml:"),
        ("p.json", '{"a": 1,\n}', "p.json:"),
        ("p.json", '{"a": NaN}', "p.json: NaN isn't a number of JSON"),
        ("p.json", '{"a": ' + "9" * 5000 + "}", "p.json: "),
        ("p.toml", "a = 1\nb = \n", "p.toml:2: Invalid value"),
        ("p.toml", "a = 1\na = 2\n", "p.toml:2: Cannot overwrite a value"),
        ("p.toml", 'a = "', "p.toml:1: "),
    ],
)
def test_broken_syntax_is_told_with_its_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (found,) = problems(tmp_path, text, name=name)

    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.yaml", b"", "is empty"),
        ("p.yaml", b"# only a comment\n", "is empty"),
        ("p.json", b" \n", "is empty"),
        ("p.yaml", b"- a\n- b\n", "must hold keys and values"),
        ("p.json", b'"text"', "must hold keys and values"),
        ("p.yaml", b"pipeline: caf\xe9\n", "p.yaml:1: isn't UTF-8"),
        ("p.json", b"[" * 100_000, "nested too deeply"),
        ("p.yaml", b"[" * 20_000, "nested too deeply"),
        ("p.yaml", b"x" * (1024 * 1024 + 1), "larger than 1 MiB"),
        ("p.ini", b"", "must end in .yaml, .yml, .json or .toml"),
    ],
)
def test_what_is_no_pipeline_file_is_told_plainly(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigurationError, match=message):
        load_config(tmp_path / name, environ={})


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"There is no file .*p\.yaml\. Create one with: fc-connect init"
    ):
        load_config(tmp_path / "p.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").mkdir()

    with pytest.raises(ConfigurationError, match="is a folder"):
        load_config(tmp_path / "p.yaml")


def test_a_byte_order_mark_and_windows_lines_are_taken(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())

    assert load_config(tmp_path / "p.yaml").pipeline == "inventory"


# The environment


def test_values_come_from_the_environment(tmp_path: Path) -> None:
    text = GOOD.replace("in/", '"${ROOT}/in${SUFFIX:-.d}${EMPTY:-x}"') + "order: ${ORDER:-any}\n"

    config = load(tmp_path, text, ROOT="/data", EMPTY="")

    assert config.source.url == "/data/in.dx"
    assert config.order == "any"


def test_numbers_and_booleans_may_come_from_the_environment(tmp_path: Path) -> None:
    text = GOOD.replace("{batch: {}}", "{batch: {size: '${SIZE}'}}") + "confirm: {wait: '${WAIT}'}\n"

    config = load(tmp_path, text, SIZE="500", WAIT="false")

    assert config.target.batch.size == 500
    assert config.confirm.wait is False


def test_a_value_of_the_environment_is_text_and_nothing_else(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace("in/", '"${ROOT}"'), ROOT="${OTHER}: [a]\nx: y")

    assert config.source.url == "${OTHER}: [a]\nx: y"


def test_two_dollars_stand_for_one(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace("in/", '"$${ROOT}$$/$x"')).source.url == "${ROOT}$$/$x"


@pytest.mark.parametrize("wrong", ["${}", "${1}", "${A", "${A-b}", "${A B}"])
def test_a_broken_reference_is_refused(tmp_path: Path, wrong: str) -> None:
    (found,) = problems(tmp_path, GOOD.replace("in/", f'"{wrong}"'), A="a")

    assert found.startswith("p.yaml:2: source.url: `${` must begin ${NAME}")


def test_all_missing_variables_are_told(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace("in/", '"${A}${B}${A}"') + "order: ${C}\n")

    assert [each.split(":", 2)[2].split(": set")[0] for each in found] == [
        " source.url: the environment has no A",
        " source.url: the environment has no B",
        " order: the environment has no C",
    ]


# Secrets

ACCOUNT = "{base_url: 'https://h', client_id: c, client_secret: '%s', username: u, password: '%s', retailer_id: '1'}"


def with_account(client_secret: str, password: str) -> str:
    return GOOD.replace("{profile: P, retailer: r}", ACCOUNT % (client_secret, password))


def revealed(config: PipelineConfig) -> tuple[str, str]:
    assert config.fluent.client_secret is not None
    assert config.fluent.password is not None
    return config.fluent.client_secret.get_secret_value(), config.fluent.password.get_secret_value()


def test_secrets_are_read_from_mounted_files(tmp_path: Path) -> None:
    (tmp_path / "absolute").write_text("s3cr3t one\n")
    (tmp_path / "relative").write_bytes(b"s3cr3t two\r\n")

    config = load(tmp_path, with_account(f"file:{tmp_path}/absolute", "file:${NAME}"), NAME="relative")

    assert revealed(config) == ("s3cr3t one", "s3cr3t two")


def test_a_secret_keeps_all_but_one_line_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(" s3cr3t \n\n")
    (tmp_path / "b").write_text("s3cr3t")

    config = load(tmp_path, with_account(f"file://{tmp_path}/a", "file:b"))

    assert revealed(config) == (" s3cr3t \n", "s3cr3t")


def test_a_secret_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")

    assert problems(tmp_path, with_account("file:none", "file:empty")) == [
        f"p.yaml:5: fluent.client_secret: the secret file {tmp_path}/none can't be read: No such file or directory",
        f"p.yaml:5: fluent.password: the secret file {tmp_path}/empty is empty",
    ]


def test_the_address_of_the_state_may_be_a_mounted_secret(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("redis://:s3cr3t@h/0\n")

    config = load(tmp_path, GOOD + "state: file:redis\n")

    assert config.state_url == "redis://:s3cr3t@h/0"


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    text = with_account("s3cr3t", "${PASSWORD}") + "state: redis://u:s3cr3t@h/0\n"
    text = text.replace("{url: in/}", "{url: s3://b/, access_key_id: s3cr3t, secret_access_key: s3cr3t}")

    config = load(tmp_path, text, PASSWORD="s3cr3t")

    assert "s3cr3t" not in repr(config) + str(config)


@pytest.mark.parametrize(
    "line",
    [
        "client_secret: s3cr3t",
        "clientsecret: s3cr3t",
        "password: [s3cr3t]",
        "state: s3cr3t",
        "order: ${SECRET}",
        "job: ${SECRET}",
        "lookback: ${SECRET}",
        "rejects: {max: '${SECRET}'}",
        "key: ${SECRET}",
        "state: sqlite://s3cr3t",
        "source: {url: 'sftp://u:s3cr3t@h'}",
        "format: {encoding: '${SECRET}'}",
        "fluent: {base_url: 'https://u:s3cr3t@h', client_secret: [s3cr3t], password: {a: s3cr3t}}",
        "fluent: {base_url: 'u:s3cr3t@h'}",
    ],
)
def test_no_error_repeats_a_secret(tmp_path: Path, line: str) -> None:
    key = line.partition(":")[0]
    text = "".join(each for each in GOOD.splitlines(keepends=True) if not each.startswith(key)) + line + "\n"

    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, SECRET="s3cr3t")

    chain: list[BaseException] = [caught.value]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    assert all("s3cr3t" not in str(each) for each in chain)


@given(st.binary(max_size=80))
def test_no_bytes_bring_the_parsers_down(content: bytes) -> None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return

    for parse in (parse_yaml, parse_json, parse_toml):
        try:
            document = parse(text)
        except SyntaxFault:
            continue
        assert isinstance(document, Document)
