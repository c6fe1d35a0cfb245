"""A report is kept only where all that it came from is the same and all its files are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calcilens.imaging.study import Study
from calcilens.inference.batch import Wishes, run_all
from calcilens.inference.pipeline import Models
from calcilens.inference.provenance import facts
from tests.inference.made import STUDY_UID, ct, film, study


def of(current: Study, prior: Study | None = None) -> str:
    priors = None if prior is None else (prior,)
    return str(
        facts(current, Models(), None, Wishes(Path(), ("json",), priors=priors))["fingerprint"]
    )


CHANGES = {
    "kvp": 140.0,
    "thickness_mm": 9.0,
    "frame_of_reference_uid": "1.2.99",
    "side": "L",
    "body_part": "HAND",
    "notes": ("resampled",),
    "hu": np.zeros((3, 4, 5), np.int16),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_fact_of_a_ct_decides_also_of_a_prior_one(name: str) -> None:
    before, after = study(ct()), study(replace(ct(), **{name: CHANGES[name]}))  # type: ignore[arg-type]
    assert of(before) == of(study(ct()))
    assert of(before) != of(after)
    prior = replace(before, study_uid="1.2.826.2")
    assert of(before, prior) != of(before, replace(after, study_uid="1.2.826.2"))


@pytest.mark.parametrize(
    "changes", [{"body_part": "HAND"}, {"spacing_how": "said so"}, {"spacing_mm": (0.9, 0.9)}]
)
def test_every_fact_of_a_radiograph_decides(changes: dict[str, Any]) -> None:
    assert of(study(film())) != of(study(replace(film(), **changes)))


def test_whether_both_are_of_one_patient_decides_and_who_it_is_does_not() -> None:
    current, prior = study(ct()), replace(study(ct()), study_uid="1.2.826.2")
    seen = {
        (one, two): of(replace(current, patient=one), replace(prior, patient=two))
        for one, two in (("a", "a"), ("b", "b"), ("a", "b"), ("a", None))
    }
    assert seen["a", "a"] == seen["b", "b"]
    assert len(set(seen.values())) == 3


@pytest.mark.parametrize("lost", ["report.html", "report.json", "run.json"])
def test_a_report_that_lacks_a_file_is_made_again(tmp_path: Path, lost: str) -> None:
    def state(*formats: str) -> str:
        wishes = Wishes(tmp_path, formats)
        return next(run_all([study(ct())], Models(), None, wishes, seconds={})).state

    assert state("json", "html") == "written"
    assert state("json", "html") == "kept"
    (tmp_path / STUDY_UID / lost).unlink()
    assert state("json", "html") == "written"
    assert (tmp_path / STUDY_UID / lost).is_file()


def test_a_format_that_nobody_asked_for_is_not_missed(tmp_path: Path) -> None:
    wishes = Wishes(tmp_path, ("json",))
    found = [next(run_all([study(ct())], Models(), None, wishes, seconds={})) for _ in range(2)]
    assert [o.state for o in found] == ["written", "kept"]
