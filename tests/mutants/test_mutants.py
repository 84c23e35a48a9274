"""The list of planted bugs fits the source, and some are caught here; `scripts/mutants` tries all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant
from tests.mutants.run import DETECTORS, SOURCE, detect, plant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutants_text_is_in_the_source_once(mutant: Mutant) -> None:
    assert (SOURCE / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_there_are_mutants_enough_each_with_a_name_a_harm_and_a_detector() -> None:
    assert len(MUTANTS) >= 25
    assert max(Counter(each.name for each in MUTANTS).values()) == 1
    for each in MUTANTS:
        assert each.harm
        assert each.caught_by
        assert set(each.caught_by) <= set(DETECTORS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name", ["renewal-without-a-check", "second-lock-not-checked", "tracker-without-a-check"]
)
def test_a_planted_bug_is_caught(tmp_path: Path, name: str) -> None:
    [mutant] = [each for each in MUTANTS if each.name == name]

    finding = detect(plant(mutant, tmp_path), "laws", {"redis": "", "postgresql": ""})

    assert finding.is_caught, finding.output
    assert "failed" in finding.output
