"""A study against an earlier one: what became of each lesion, and where that cannot be said."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from calcilens.imaging.images import Volume
from calcilens.imaging.measure import Measurement
from calcilens.imaging.paired import Mineral, Scale
from calcilens.imaging.study import Study, read_study
from calcilens.inference.batch import Wishes, run_all
from calcilens.inference.compare import _Left, _left_of, _sizes, compare
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.report import StudyReport, to_json
from calcilens.inference.report_schema import schema
from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study
from tests.imaging.scene import LESION_MM, Pose, scan
from tests.inference.made import film, study

BEFORE, AFTER = Pose(), Pose(0.2, 0.0, (8.0, -5.0, 300.0))


def day(volume: Volume, number: int, date: str | None = "20250101") -> Study:
    own = replace(study(volume), study_uid=f"1.2.{number}", study_date=date)
    return replace(own, images=(replace(volume, study_uid=own.study_uid),))


def compared(ratio: float, *, before: float = 600.0, after: float = 600.0) -> StudyReport:
    prior = day(scan(BEFORE, (2.0, 1.0, 1.0), lesion_hu=before, name="7"), 7)
    grown = scan(AFTER, (2.5, 0.9, 0.9), volume_ratio=ratio, lesion_hu=after, seed=1, name="8")
    return run_study(day(grown, 8, "20250402"), Models(), priors=(prior,))


def at_the_lesion(report: StudyReport) -> list[str]:
    """Kind and level of every lesion near the true one."""
    place = AFTER.moved(LESION_MM[None])[0]
    near = [x for x in report.lesions if np.linalg.norm(np.array(x.centroid_mm) - place) < 8]
    return [f"{x.change.kind}, {x.change.level}" for x in near if x.change is not None]


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.0, "unchanged, stable"), (1.5, "grown, rapid growth"), (0.6, "shrunk, shrunk")],
)
def test_growth_is_told_from_another_pose_and_scanner(ratio: float, said: str) -> None:
    report = compared(ratio)
    assert at_the_lesion(report) == [said]
    (lesion,) = [x for x in report.lesions if x.change is not None and x.change.prior_lesions]
    change = lesion.change
    assert change is not None
    assert change.volume_ratio == pytest.approx(ratio, rel=0.1)
    assert change.volume_ratio_ci is not None
    assert change.volume_ratio_ci[0] < ratio < change.volume_ratio_ci[1]
    assert change.days == 91
    assert abs(change.skin_distance_change_mm or 9) < 2
    assert change.prior_volume_mm3 == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.2)
    assert change.prior_max_diameter_mm == pytest.approx(12, abs=1.5)
    assert set(change.prior_uncertainty) == {"prior_volume_mm3", "prior_max_diameter_mm"}
    now = 4 / 3 * np.pi * 6**3 * ratio
    assert lesion.measured.volume_mm3 == pytest.approx(now, rel=0.25)
    assert report.comparison is not None
    to_prior = np.array(report.comparison.series[0]["to_prior"])
    place = np.array([*AFTER.moved(LESION_MM[None])[0], 1])
    assert (to_prior @ place)[:3] == pytest.approx(BEFORE.moved(LESION_MM[None])[0], abs=2)
    assert lesion.prior is not None
    assert lesion.prior.plane(lesion.key_plane, np.s_[10:30, 5:20]).shape == (20, 15)


def sized(volume: float | None, diameter: float | None) -> Measurement:
    taken = Measurement()
    taken.set("volume_mm3", volume, "a test", 30.0)
    taken.set("max_diameter_mm", diameter, "a test", 0.5)
    return taken


def test_of_several_prior_lesions_volumes_add_up_and_the_largest_diameter_counts() -> None:
    two = _sizes([sized(400.0, 8.0), sized(600.0, 9.5)])
    assert (two["prior_volume_mm3"], two["prior_max_diameter_mm"]) == (1000.0, 9.5)
    sds = {"prior_volume_mm3": 30 * np.sqrt(2), "prior_max_diameter_mm": 0.5}
    assert two["prior_uncertainty"] == pytest.approx(sds)
    unknown = _sizes([sized(400.0, 8.0), sized(None, None)])
    assert unknown["prior_volume_mm3"] is None
    assert unknown["prior_uncertainty"] == {"prior_max_diameter_mm": 0.5}


def test_a_lesion_without_a_forerunner_is_new() -> None:
    assert at_the_lesion(compared(1.0, before=55.0)) == ["new, new"]


def test_a_lesion_that_is_no_longer_there_is_gone_with_its_place_in_the_current_scan() -> None:
    comparison = compared(1.0, after=55.0).comparison
    assert comparison is not None
    (gone,) = comparison.gone
    share = re.fullmatch(
        r"what is left, (\d+) % of its mineral, is no more than blur and noise may leave", gone.why
    )
    assert share is not None
    assert int(share[1]) < 20
    assert gone not in comparison.not_found
    assert gone.centroid_mm == pytest.approx(AFTER.moved(LESION_MM[None])[0], abs=3)
    assert gone.prior_centroid_mm == pytest.approx(LESION_MM, abs=2)


@pytest.fixture(scope="module")
def pair() -> tuple[Study, Study]:
    """Two studies of one lesion that did not change."""
    return day(scan(BEFORE, (2.0, 1.0, 1.0)), 7), day(scan(BEFORE, (2.0, 1.0, 1.0), seed=1), 8)


def found_nothing(study: Study) -> StudyReport:
    return StudyReport(study, (), (), ())


def test_a_prior_lesion_that_is_still_there_but_not_reported_is_listed_with_its_ratio(
    pair: tuple[Study, Study],
) -> None:
    report = compare(found_nothing(pair[1]), pair[:1])
    comparison = to_json(report, [])["comparison"]
    assert comparison["gone"] == []
    (lesion,) = [
        x for x in comparison["not_found"] if np.allclose(x["centroid_mm"], LESION_MM, atol=3)
    ]
    assert lesion["volume_ratio"] == pytest.approx(1, rel=0.1)
    assert lesion["volume_ratio_ci"][0] < 1 < lesion["volume_ratio_ci"][1]
    assert lesion["prior_volume_mm3"] == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.25)
    assert lesion["why"].startswith("still there, though not among the lesions of this report: ")
    Draft202012Validator(schema()).validate(to_json(report, []))


@pytest.mark.parametrize(
    ("prior_hu", "current_hu", "shown", "left", "why"),
    [
        (300.0, 0.0, 0.4, _Left.OUTSIDE, "outside this scan"),
        (300.0, 59.0, 1.0, _Left.GONE, "left, 19 % of its mineral, is no more than blur"),
        (300.0, 61.0, 1.0, _Left.THERE, "still there, .* mineral × 0.20"),
        (9.0, 9.5, 1.0, _Left.THERE, "too little mineral"),
        (14.0, 9.0, 1.0, _Left.THERE, "too little mineral"),
    ],
)
def test_a_prior_lesion_is_gone_only_where_its_mineral_fell_below_what_blur_leaves(
    pair: tuple[Study, Study],
    prior_hu: float,
    current_hu: float,
    shown: float,
    left: _Left,
    why: str,
) -> None:
    volume = pair[1].images[0]
    scale = Scale(0.0, 0.03, "a test")
    one = SimpleNamespace(pair=SimpleNamespace(current=volume, scale=scale), days=91)
    found = _left_of(one, LESION_MM[None], Mineral(prior_hu, current_hu, 900.0, shown))  # type: ignore[arg-type]
    assert found[0] is left
    assert re.search(why, found[2])


def test_nothing_is_told_of_a_prior_place_that_is_no_calcification(
    pair: tuple[Study, Study],
) -> None:
    comparison = compare(found_nothing(pair[1]), pair[:1], lambda *_: True).comparison
    assert comparison is not None
    assert (comparison.gone, comparison.not_found) == ((), ())


def test_a_lesion_that_one_series_shows_is_not_lost_in_another(pair: tuple[Study, Study]) -> None:
    faint = scan(BEFORE, (2.0, 1.0, 1.0), lesion_hu=55.0, seed=2)
    other = replace(faint, series_uid="1.2.8.2", study_uid="1.2.8")
    both = replace(pair[1], images=(*pair[1].images, other))
    report = run_study(both, Models(), priors=pair[:1])
    assert report.comparison is not None
    assert report.comparison.done
    lost = [*report.comparison.gone, *report.comparison.not_found]
    assert [x for x in lost if np.allclose(x.centroid_mm, LESION_MM, atol=4)] == []


@pytest.mark.parametrize("before", [600.0, 55.0], ids=["grown", "new"])
def test_the_report_of_a_comparison_fits_the_schema(before: float) -> None:
    content = json.loads(json.dumps(to_json(compared(1.5, before=before), [])))
    Draft202012Validator(schema()).validate(content)
    assert content["comparison"]["days"] == 91
    assert content["lesions"][0]["change"]["prior_study_uid"] == "1.2.7"
    known = content["lesions"][0]["change"]["prior_volume_mm3"] is not None
    assert known is (before == 600.0)


def test_radiographs_are_not_compared_and_it_is_said() -> None:
    current = replace(study(film()), study_uid="1.2.9")
    report = run_study(current, Models(), [], priors=(day(scan(BEFORE, (4.0, 2.0, 2.0)), 7),))
    assert report.comparison is not None
    assert not report.comparison.done
    assert any("not measured on radiographs" in note for note in report.comparison.notes)


def test_a_prior_that_cannot_be_used_costs_nothing_but_a_line(tmp_path: Path) -> None:
    current = day(scan(AFTER, (2.5, 0.9, 0.9)), 8)
    wishes = Wishes(tmp_path, ("json",), priors=(current,))
    (outcome,) = run_all([current], Models(), None, wishes, seconds={})
    (again,) = run_all([current], Models(), None, wishes, seconds={})
    assert (outcome.state, again.state) == ("written", "kept")
    assert outcome.compared is again.compared is False
    assert "found the same study" in outcome.notes[0]
    assert again.notes == outcome.notes
    report = json.loads((tmp_path / "1.2.8" / "report.json").read_text())
    assert {lesion["change"] for lesion in report["lesions"]} <= {None}


def test_a_prior_of_one_plane_among_others_costs_nothing(tmp_path: Path) -> None:
    prior, grown = scan(BEFORE, (2.0, 1.0, 1.0)), scan(AFTER, (2.5, 0.9, 0.9), volume_ratio=1.5)
    thin = day(replace(prior, hu=prior.hu[20:21], planes=prior.planes[20:21]), 7)
    current = day(grown, 8, "20250402")
    wishes = Wishes(tmp_path, ("json",), priors=(thin,))
    (outcome,) = run_all([current], Models(), None, wishes, seconds={})
    assert (outcome.state, outcome.compared) == ("written", False)
    assert any("expected at least 20 mm of the body" in note for note in outcome.notes)
    both = run_study(current, Models(), priors=(day(prior, 6), thin))
    assert both.comparison is not None
    assert both.comparison.prior_study_uid == "1.2.6"
    assert at_the_lesion(both) == ["grown, rapid growth"]


def test_without_a_prior_study_or_a_segmentation_their_libraries_are_not_loaded() -> None:
    slow = {"SimpleITK", "highdicom", "matplotlib", "pandas"}
    code = f"import sys, calcilens.inference.output; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_simulated_lesion_that_doubled_is_told_with_its_evidence(tmp_path: Path) -> None:
    write_study(tmp_path, Plan(3, "ct", "forearm", ("laminated",), 2.0))
    prior, current = (read_study(tmp_path / p) for p in ("dicom", "follow-up/dicom"))
    report = run_study(current, Models(), priors=(prior,))
    truth = json.loads((tmp_path / "follow-up" / "truth.json").read_text())
    place = np.array(truth["lesions"][0]["centroid_mm"])
    lesion = min(report.lesions, key=lambda x: np.linalg.norm(np.array(x.centroid_mm) - place))
    assert lesion.change is not None
    assert lesion.change.volume_ratio == pytest.approx(2.0, rel=0.15)
    assert lesion.change.level == "rapid growth"
    assert lesion.change.doubling_time_days == pytest.approx(91, rel=0.25)
