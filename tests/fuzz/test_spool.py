"""The spool and the rejects file: what lies on the disk may be cut, flipped or swapped, and never sends other bytes."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import FCConnectError, FieldProblem, KVCorruptError, MappingError, RunError
from fc_connect.formats import Place
from fc_connect.pipeline.rejects import RejectsFile
from fc_connect.pipeline.spool import PlannedBatch, Spool, SpoolSummary, SpoolWriter
from tests.fuzz.effort import examples

ENVELOPE = (b'{"entities":[', b"]}")
FILES = ("plan.json", "index", "bodies")


def planned(folder: Path, *, file_id: str = "one", entities: int = 25, tag: str = "a") -> Spool:
    """Plan a file of so many entities in batches of ten."""
    writer = SpoolWriter(folder, batch_size=10, envelope=ENVELOPE)
    for number in range(entities):
        writer.add(json.dumps({"ref": f"{tag}{number}"}).encode())
    writer.flush_batch()
    return writer.finish(
        SpoolSummary(
            plan_digest="plan",
            file_id=file_id,
            batch_size=10,
            batches=writer.batches,
            entities=writer.entities,
            records_read=entities,
            rejected=0,
            duplicates=0,
            content_sha256="0" * 64,
            content_md5="0" * 32,
            rejects_file=None,
        )
    )


def resumed(folder: Path) -> tuple[SpoolSummary, list[PlannedBatch]] | None:
    """Return what a run that carries on would send; None where it plans the file again."""
    spool = Spool.find(folder, file_id="one", plan_digest="plan", envelope=ENVELOPE)
    if spool is None:
        return None
    digests = dict(spool.digests())
    batches = list(spool.batches())
    assert {each.number: each.sha256 for each in batches} == digests
    return spool.summary, batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spools")


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[Path, tuple[SpoolSummary, list[PlannedBatch]]]:
    spool = planned(folder / "whole")
    return spool.folder, (spool.summary, list(spool.batches()))


Whole = tuple[Path, tuple[SpoolSummary, list[PlannedBatch]]]


def check_damaged(copy: Path, expected: tuple[SpoolSummary, list[PlannedBatch]]) -> None:
    """A damaged spool is planned again, refused, or gives exactly what was planned."""
    refusal, found = None, None
    try:
        found = resumed(copy)
    except RunError as exc:
        refusal = exc
    assert refusal is None or str(copy) in str(refusal)
    assert found is None or found == expected


@examples(300)
@given(st.sampled_from(FILES), st.integers(0, 4000), st.integers(0, 7))
@example("index", 7, 7)  # an offset beyond what a file can have
@example("index", 15, 6)  # a length that no memory holds
def test_a_flipped_bit_never_changes_what_is_sent(
    folder: Path, whole: Whole, name: str, place: int, bit: int
) -> None:
    origin, expected = whole
    copy = fresh_copy(origin, folder / "flipped")
    content = bytearray((copy / name).read_bytes())
    content[place % len(content)] ^= 1 << bit
    (copy / name).write_bytes(content)

    check_damaged(copy, expected)


@examples(150)
@given(st.sampled_from(FILES), st.integers(0, 4000), st.binary(max_size=100))
def test_a_cut_or_overwritten_end_never_changes_what_is_sent(
    folder: Path, whole: Whole, name: str, size: int, tail: bytes
) -> None:
    origin, expected = whole
    copy = fresh_copy(origin, folder / "cut")
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: size % len(content)] + tail)

    check_damaged(copy, expected)


@examples(40)
@given(st.sets(st.sampled_from(FILES), min_size=1), st.integers(5, 45))
@example({"index", "bodies"}, 25)
@example({"index", "bodies"}, 24)
def test_parts_of_another_spool_are_never_sent_as_ours(
    folder: Path, whole: Whole, names: set[str], entities: int
) -> None:
    origin, expected = whole
    other = planned(folder / "other", file_id="two", entities=entities, tag="b")
    copy = fresh_copy(origin, folder / "swapped")
    for name in names:
        shutil.copy(other.folder / name, copy / name)

    check_damaged(copy, expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("9" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SUMMARY_FIELDS = st.sampled_from([*SpoolSummary.__dataclass_fields__, "seal", "unknown"])


@examples(200)
@given(st.dictionaries(SUMMARY_FIELDS, JSON, max_size=3) | JSON)
@example({"batches": None})
@example({"batches": "3"})
def test_any_plan_file_is_the_plan_or_planned_again(folder: Path, whole: Whole, change: Any) -> None:
    origin, expected = whole
    copy = fresh_copy(origin, folder / "replanned")
    content = json.loads((copy / "plan.json").read_text())
    changed = {**content, **change} if isinstance(change, dict) else change
    (copy / "plan.json").write_text(json.dumps(changed))

    check_damaged(copy, expected)


def test_a_plan_file_nested_without_end_is_planned_again(folder: Path, whole: Whole) -> None:
    copy = fresh_copy(whole[0], folder / "deep")
    (copy / "plan.json").write_text("[" * 100_000)

    assert resumed(copy) is None


def test_a_spool_without_a_file_is_refused_by_name(folder: Path, whole: Whole) -> None:
    copy = fresh_copy(whole[0], folder / "without")
    (copy / "bodies").unlink()

    with pytest.raises(RunError, match="bodies"):
        resumed(copy)


def fresh_copy(origin: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(origin, copy)
    return copy


# The rejects file

TEXT = st.text(max_size=20) | st.sampled_from(
    ["\ud800", "\x1b[31m", "\n", "=cmd|' /C calc'!A0", "\u2028", "x" * 5000]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@examples(200)
@given(st.lists(st.tuples(TEXT, TEXT, VALUES, VALUES), min_size=1, max_size=4), TEXT)
@example([("a", "half a pair: \ud800", "\ud800", {"a": "\ud800"})], "f")
@example([("a", "r", float("nan"), {("a", 1): 1})], "f")
def test_every_reject_is_one_line_of_strict_json(
    folder: Path, rejects: list[tuple[str, str, Any, Any]], name: str
) -> None:
    file = RejectsFile(folder / "rejects", file_name=name, file_id="0123456789", demand=lambda: None)
    for number, (field, reason, value, record) in enumerate(rejects):
        problem = FieldProblem(field=field, source="s", value=value, reason=reason)
        file.add_mapping_error(Place(line=number), MappingError(reason, problems=[problem]), record)
        file.add(Place(line=number), reason, record)
        file.note(Place(line=number), reason, record)
    path = file.finish()

    assert path is not None
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == 3 * len(rejects)
    for line in lines:
        entry = json.loads(line, parse_constant=refuse)
        assert set(entry) == {
            "file",
            "line",
            "number",
            "byte",
            "field",
            "source",
            "value",
            "reason",
            "record",
        }
        assert len(line) < 200_000


def refuse(constant: str) -> None:
    raise AssertionError(constant)


def test_a_value_that_holds_itself_is_told_in_words(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    deep: Any = None
    for _ in range(5000):
        deep = [deep]
    file = RejectsFile(tmp_path, file_name="f", file_id="0123456789", demand=lambda: None)

    file.add(Place(line=1), "holds itself", value)
    file.add(Place(line=2), "is nested too deeply", deep)
    while deep:
        deep = deep.pop()  # or pytest, which shows it, recurses as deep

    path = file.finish()
    assert path is not None
    assert [json.loads(line)["line"] for line in path.read_text().splitlines()] == [1, 2]


def test_rejected_records_are_not_for_other_users(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "rejects", file_name="f", file_id="0123456789", demand=lambda: None)
    file.add(Place(line=1), "wrong", {"customer": "a person"})
    path = file.finish()

    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_a_link_in_the_place_of_a_draft_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    file = RejectsFile(tmp_path / "rejects", file_name="f", file_id="0123456789", demand=lambda: None)
    file.path.parent.mkdir()
    file._draft.symlink_to(victim)

    file.add(Place(line=1), "wrong", {})
    file.finish()

    assert victim.read_text() == "precious"


def test_the_state_can_have_no_other_file_copied_into_the_rejects(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("precious")
    file = RejectsFile(tmp_path / "rejects", file_name="f", file_id="0123456789", demand=lambda: None)

    with pytest.raises(KVCorruptError, match="secret"):
        file.append(secret)


def test_half_a_spool_from_a_full_disk_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file in the folder's place")

    with pytest.raises(FCConnectError, match="spool"):
        planned(tmp_path / "spool" / "one")


def test_spooled_bodies_are_for_their_owner_alone(folder: Path, whole: Whole) -> None:
    assert stat.S_IMODE(whole[0].stat().st_mode) == 0o700
