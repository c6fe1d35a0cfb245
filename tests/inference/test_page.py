"""What report.html says of a study, as the template gives it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator
from PIL import Image as Pillow

from calcilens.imaging.images import Image, Plane
from calcilens.imaging.measure import Measurement
from calcilens.imaging.records import SeriesInfo, Skipped
from calcilens.inference.absent import left_out
from calcilens.inference.change import Level
from calcilens.inference.export.empty import empty
from calcilens.inference.export.fhir import bundle
from calcilens.inference.export.html import build
from calcilens.inference.export.prior import prior_codes
from calcilens.inference.export.words import skin_change, tally
from calcilens.inference.lesions import Answer, Concern, Finding, OutOfDomain, Patterns
from calcilens.inference.report import StudyReport, to_json
from calcilens.inference.report_schema import schema
from tests.inference.made import ct, film, lesion_in
from tests.inference.reports import against, beside, comparison, judged, reported


def words(page: str) -> str:
    """The text of a page between its tags, on one line."""
    body = page.split("<body>", 1)[1].split('<script type="application/json"', 1)[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_gone_lesions_and_notes_are_told_where_no_lesion_is_left() -> None:
    bare = replace(reported(), lesions=())
    text = words(build(replace(bare, comparison=comparison("check the name", gone=True))))
    assert "Compared with 2025-10-02, 92 days before" in text
    assert "Slice 6, x " in text
    assert "412 mm³ 2 % is left." in text
    assert "Not among the lesions of this report: place in this scan" in text
    assert "412 mm³ Still there." in text
    assert "Check the name." in text
    quiet = words(build(replace(bare, comparison=comparison())))
    assert "No lesion of the earlier study is missing from this report." in quiet


def test_a_comparison_that_failed_names_no_earlier_study() -> None:
    report = replace(reported(), comparison=comparison("the same study", done=False))
    text = words(build(report))
    assert "Not compared with an earlier study The same study." in text
    assert "Compared with nothing" in text
    assert "Compared with unknown" not in text


def test_a_place_judged_not_calcified_is_said_to_be_that_and_counted_apart() -> None:
    twice = reported(film(1), film(2))
    none = judged(twice, finding=Finding(0.22, abstained=False))
    text = words(build(none))
    assert text.count("Judged not calcified · calcified 22 %") == 2
    assert "2 places, none calcified" in text
    assert "no, 22 %" in text
    one = (none.lesions[0], judged(twice, finding=Finding(0.8, abstained=False)).lesions[1])
    assert tally(one) == "2 places, 1 not calcified"
    open_ones = judged(twice, finding=Finding(0.22, abstained=True, why="undecided")).lesions
    assert tally(open_ones) == "2 lesions, 2 without an answer (undecided)"


def test_growth_has_its_own_badge_and_concern_is_said_not_to_know_of_it() -> None:
    quiet = judged(reported(), concern=Concern(0.01, "low", ["below 0.30"]))
    grown = build(against(quiet, Level.RAPID))
    assert '<span class="chip low">concern: low</span>' in grown
    assert '<span class="chip worse">rapid growth × 1.50</span>' in grown
    assert "it does not know of the change" in grown
    stable = build(against(quiet, Level.STABLE))
    assert '<span class="chip other">stable × 1.50</span>' in stable
    assert "it does not know of the change" not in stable


def test_the_sizes_of_both_scans_stand_side_by_side_with_their_errors() -> None:
    report = against(reported(), Level.GROWN)
    (lesion,) = report.lesions
    taken = Measurement()
    taken.set("volume_mm3", 2400.4, "a test", 96.0)
    taken.set("max_diameter_mm", 14.03, "a test", 0.6)
    assert lesion.change is not None
    change = replace(
        lesion.change,
        prior_lesions=("L1", "L2"),
        prior_volume_mm3=1600.2,
        prior_max_diameter_mm=12.31,
        prior_uncertainty={"prior_volume_mm3": 80.0, "prior_max_diameter_mm": 0.7},
    )
    told = replace(report, lesions=(replace(lesion, measured=taken, change=change),))
    text = words(build(told))
    assert "Largest diameter 12.3 ± 0.7 → 14.0 ± 0.6 mm" in text
    assert "Volume 1600 ± 80 → 2400 ± 96 mm³" in text
    assert "Then: 2 lesions, the volumes together" in text
    assert "12.3 → 14.0 1600 → 2400" in text
    unmatched = words(build(report))
    assert "→" not in unmatched.replace("↑ ↓", "")
    assert "Each scan measured on its own" not in unmatched


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (-1.3, "1.3 mm nearer to the skin than then."),
        (0.42, "0.4 mm farther from the skin than then."),
        (0.04, "As far from the skin as then."),
    ],
)
def test_a_change_of_depth_is_said_in_words(moved: float, said: str) -> None:
    change = against(reported(), Level.STABLE, moved).lesions[0].change
    assert change is not None
    assert skin_change(change) == said
    assert skin_change(replace(change, skin_distance_change_mm=None)) is None


def test_a_strange_lesion_is_said_to_be_so_once_and_no_set_is_promised() -> None:
    why = "out of domain: unlike anything"
    said = Answer(
        Finding(0.9, abstained=True, why=why),
        Patterns({"diffuse": 0.9}, ["diffuse"], 0.9, abstained=True, why=why),
        Concern(model_reasons=[f"no answer: {why}"]),
        OutOfDomain(2.0, flag=True),
    )
    report = reported()
    text = words(build(replace(report, lesions=(replace(report.lesions[0], answer=said),))))
    assert text.lower().count("unlike anything") == 1
    assert "No answer, for the same reason." in text
    assert "Not ruled out" not in text


@pytest.mark.parametrize("kind", ["ct", "film"])
def test_an_empty_report_claims_no_more_than_was_looked_at(kind: str) -> None:
    image: Image = ct() if kind == "ct" else film()
    report = replace(reported(image), lesions=())
    clear = {"ct": "On CT, nothing denser", "film": "the finder saw no calcification"}
    other = clear["film" if kind == "ct" else "ct"]
    assert clear[kind] in empty(report)
    assert other not in empty(report)
    absent = left_out(image, lesion_in(image), Answer(Finding(0.01, abstained=False)))
    left = empty(replace(report, skipped=(absent,)))
    assert clear[kind] not in left
    assert "1 place was looked at and left out" in left
    assert "Not all of the study" not in left
    assert "What was looked at" in words(build(report))
    unsearched = empty(replace(report, skipped=(Skipped(image.series_uid, "no finder"),)))
    assert clear[kind] not in unsearched
    assert "Not all of the study was looked at" in unsearched


def test_films_are_named_by_side_and_view_and_listed_with_what_is_not_stated() -> None:
    one = replace(film(1), body_part="KNEE", side="L", view="AP")
    two = replace(film(2), planes=(Plane("1.2.3", number=7),))
    text = words(build(reported(one, two)))
    assert "DX KNEE left AP, image 1" in text
    assert "DX, image 2" in text
    assert "Image 1, left AP" in text
    assert "1 not stated KNEE left AP not calibrated" in text
    assert "2 7 not stated not stated not stated not calibrated" in text
    assert "Radiographs" not in words(build(reported(ct())))


def test_the_films_of_a_report_fit_the_schema_with_nulls_where_nothing_is_stated() -> None:
    one = replace(film(1, (0.1, 0.1)), body_part="KNEE", side="B", view="AP")
    content = to_json(reported(ct(), one, film(2)), [])
    Draft202012Validator(schema()).validate(content)
    first, second = content["films"]
    assert (first["image"], first["laterality"], first["view"]) == (2, "B", "AP")
    assert (second["image"], second["body_part"], second["spacing_mm"]) == (3, None, None)


def numbered(numbers: list[int | None]) -> StudyReport:
    volume = ct()
    planes = tuple(
        replace(plane, number=number) for plane, number in zip(volume.planes, numbers, strict=True)
    )
    report = reported(replace(volume, planes=planes))
    (info,) = report.study.series
    series = (replace(info, series_number=4),)
    return replace(report, study=replace(report.study, series=series))


def test_a_lesion_on_ct_is_found_in_a_viewer_by_the_numbers_of_the_files() -> None:
    report = numbered(list(range(112, 100, -1)))
    text = words(build(report))
    assert "Slices 4–8 In a viewer: series 4, images 105–109." in text
    content = to_json(report, [])
    Draft202012Validator(schema()).validate(content)
    assert content["lesions"][0]["slices"] == [4, 8]
    assert content["lesions"][0]["image_numbers"] == [105, 109]
    assert content["series"][0]["series_number"] == 4


@pytest.mark.parametrize("numbers", [[None] * 12, [1] * 12])
def test_planes_that_are_not_numbered_apart_have_no_place_in_a_viewer(
    numbers: list[int | None],
) -> None:
    report = numbered(numbers)
    assert report.lesions[0].image_numbers is None
    assert "In a viewer" not in words(build(report))


def test_slices_name_their_series_where_there_are_several() -> None:
    one, two = ct(), replace(ct(), series_uid="1.2.826.1.5")
    assert "series" not in words(build(reported(one))).split("Models and")[0]
    whole = reported(one, two)
    scout = SeriesInfo("1.2.826.1.4", "1.2", "CT", None, None, False, "a scout")
    series = (whole.study.series[0], scout, whole.study.series[1])
    told = words(build(replace(whole, study=replace(whole.study, series=series))))
    assert "Slices 4–8, series 1" in told
    assert "Slices 4–8, series 3" in told
    assert "From the front, series 3" in told or "From below, series 3" in told


def test_films_without_calibration_have_their_sizes_in_pixels() -> None:
    report = reported(film())
    taken = Measurement()
    taken.set("diameter_px", 41.2, "a test", 1.0)
    taken.set("max_diameter_mm", None, "not in mm; see diameter_px")
    taken.set("axes_mm", None, "not in mm; see diameter_px")
    text = words(build(replace(report, lesions=(replace(report.lesions[0], measured=taken),))))
    assert "Largest diameter, pixels" in text
    assert re.search(r"Concern 1 DX 41 ", text)
    assert "not in mm; see largest diameter" in text
    assert "diameter_px" not in text
    assert "columns 30–49, rows 40–59" in text
    assert "given; columns" not in text


def test_every_lesion_has_a_picture_that_needs_no_script() -> None:
    page = build(reported(film(1), film(2)))
    assert page.count('<div class="still">') == 2
    assert page.count("Close-up view with the lesions") == 2


def test_what_lies_outside_the_prior_scan_is_transparent_and_nothing_else_is() -> None:
    part = slice(40, 80), slice(100, 160)
    near, far = (beside(reported(), mm).prior for mm in (0.0, 16.0))
    assert near is not None
    assert far is not None
    assert prior_codes(near, 5, part).shape == (40, 60)
    codes = prior_codes(far, 5, part)
    assert codes.shape == (40, 60, 2)
    assert (codes[:, :40, 1] == 255).all()
    assert (codes[:, 40:] == 0).all()
    assert Pillow.fromarray(codes).mode == "LA"


def test_both_dates_are_there_for_the_panes() -> None:
    report = against(reported(), Level.STABLE)
    page = build(replace(report, lesions=(beside(report, 0.0),)))
    text = page.split('<script type="application/json" id="payload">', 1)[1]
    told = json.loads(text.split("</script>", 1)[0])
    assert told["dates"] == {"now": "2026-01-02", "then": "2025-10-02"}
    (scene,) = told["scenes"].values()
    assert scene["prior"] is True


def test_a_study_of_which_nothing_could_be_read_is_not_said_to_have_been_searched() -> None:
    unread = SeriesInfo("1.2.826.1.4", "1.2", "CT", None, None, False, "damaged")
    bare = reported()
    empty_study = replace(bare.study, images=(), series=(unread,))
    report = replace(bare, study=empty_study, lesions=(), skipped=(Skipped("1.2.4", "damaged"),))
    text = words(build(report))
    assert "Reported nothing was searched" in text
    assert "no lesions" not in text
    assert "not calibrated" not in text
    conclusion = bundle(report)["entry"][0]["resource"]["conclusion"]
    assert "Nothing was searched: no image" in conclusion
    assert "proposed" not in conclusion
