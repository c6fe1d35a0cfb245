"""The library lists what is there now, tells places from answers, and no report hurts another."""

from __future__ import annotations

import json
import os
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from calcilens.errors import NotThere, ReviewError
from calcilens.review.library import Library
from calcilens.review.reports import Report, _check_uids, parse
from tests.review.folders import STUDY_UID, make_dicom, make_report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    make_report(make_dicom(folder / "dicom"), folder / "reports")
    return folder / "reports"


@pytest.fixture
def reports(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "reports"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def another(reports: Path, uid: str, **changes: Any) -> Path:
    """Copy the report under another study; `changes` replace what it says."""
    folder = Path(shutil.copytree(reports / STUDY_UID, reports / uid))
    content = json.loads((folder / "report.json").read_bytes())
    content["study"]["study_uid"] = uid
    (folder / "report.json").write_text(json.dumps({**content, **changes}))
    return folder


def test_a_summary_says_what_the_report_says(reports: Path) -> None:
    (one,) = Library(reports).summaries()
    raw = (reports / STUDY_UID / "report.json").read_bytes()
    content = json.loads(raw)
    assert (one.study_uid, one.sha256) == (STUDY_UID, sha256(raw).hexdigest())
    assert sorted(one.lesions) == sorted(lesion["id"] for lesion in content["lesions"])
    assert one.modalities == ("CT", "DX")
    assert one.abstained == any(x["finding"]["abstained"] for x in content["lesions"])
    assert not one.comparison


def test_places_hold_nothing_that_the_model_says(reports: Path) -> None:
    report = Library(reports).get(STUDY_UID)
    for place in report.lesions:
        said = repr({k: v for k, v in vars(place).items() if k not in ("mask", "saliency")})
        for word in ("probab", "concern", "pattern", "abstain", "trust", "change"):
            assert word not in said
        model = report.model(place.id)
        assert set(model) == {
            "name", "finding", "pattern", "concern", "out_of_domain", "change", "saliency"
        }  # fmt: skip
        lesion = next(x for x in report.content["lesions"] if x["id"] == place.id)
        assert model["concern"] == lesion["concern"]
    with pytest.raises(NotThere, match="a lesion of this report"):
        report.place("L000000000000")


@pytest.mark.parametrize(
    "uid", ["..", "../../x", "1.2/3", "", "1..2", "1." + "2" * 70, "=1", "<b>"]
)
@pytest.mark.parametrize("where", ["study", "series", "prior", "film"])
def test_a_report_whose_uids_are_none_is_not_used(reports: Path, uid: str, where: str) -> None:
    path = reports / STUDY_UID / "report.json"
    content = json.loads(path.read_text())
    if where == "study":
        content["study"]["study_uid"] = uid
    elif where == "series":
        content["series"][0]["series_uid"] = uid
    elif where == "film":
        content["films"][0]["sop_uid"] = uid
    with pytest.raises(ReviewError, match="expected UIDs of DICOM"):
        _check_uids(
            content | ({"comparison": {"prior_study_uid": uid}} if where == "prior" else {}), "x"
        )
    if where != "prior":
        path.write_text(json.dumps(content))
        library = Library(reports)
        assert library.summaries() == []
        assert [one.folder for one in library.broken()] == [STUDY_UID]


def test_no_report_stops_the_others(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another(reports, "1.2.3")
    (reports / "pipe").mkdir()
    os.mkfifo(reports / "pipe" / "report.json")
    content = json.loads((reports / "1.2.3" / "report.json").read_text())
    for lesion in content["lesions"]:
        del lesion["key_plane"]
    (reports / "1.2.3" / "report.json").write_text(json.dumps(content))

    def failing(raw: bytes, folder: Path) -> Report:
        if folder.name == "odd":
            raise KeyError("odd")
        return parse(raw, folder)

    shutil.copytree(reports / STUDY_UID, reports / "odd")
    monkeypatch.setattr("calcilens.review.library.parse", failing)
    library = Library(reports)
    assert {one.study_uid for one in library.summaries()} == {STUDY_UID, "1.2.3"}
    assert {one.folder for one in library.broken()} == {"odd", "pipe"}


def test_numbers_of_lesions_follow_the_images_and_not_their_concern(reports: Path) -> None:
    path = reports / STUDY_UID / "report.json"
    content = json.loads(path.read_text())
    before = Library(reports).get(STUDY_UID).lesions
    content["lesions"].reverse()
    path.write_text(json.dumps(content))
    assert Library(reports).get(STUDY_UID).lesions == before
    assert [place.number for place in before] == list(range(1, len(before) + 1))
    assert [place.image for place in before] == sorted(place.image for place in before)


def test_images_stand_in_the_order_of_the_study(reports: Path) -> None:
    report = Library(reports).get(STUDY_UID)
    assert [image.sop_uid for image in report.images] == [None, f"{STUDY_UID}.2.1"]
    assert report.images[0].shape == (10, 48, 40)
    boxes = {place.image for place in report.lesions}
    assert boxes == {0, 1}


def test_reports_that_come_change_and_go_are_noticed(reports: Path) -> None:
    library = Library(reports, Clock())
    first = library.get(STUDY_UID).sha256
    another(reports, "1.2.9")
    assert [one.study_uid for one in library.summaries()] == [STUDY_UID, "1.2.9"]
    path = reports / STUDY_UID / "report.json"
    path.write_text(path.read_text() + "\n")
    assert library.get(STUDY_UID).sha256 != first
    shutil.rmtree(reports / STUDY_UID)
    with pytest.raises(NotThere, match="a study with a report"):
        library.get(STUDY_UID)
    assert [one.study_uid for one in library.summaries()] == ["1.2.9"]


def lesion_twice(content: dict[str, Any]) -> None:
    content["lesions"].append(content["lesions"][0])


def box_outside(content: dict[str, Any]) -> None:
    next(x for x in content["lesions"] if x["box_px"] is None)["box"][1][0] = 99


def no_image(content: dict[str, Any]) -> None:
    content["lesions"][0]["series_uid"] = "1.9.9"


def no_disclaimer(content: dict[str, Any]) -> None:
    del content["disclaimer"]


def id_with_a_path(content: dict[str, Any]) -> None:
    content["lesions"][0]["id"] = "../../etc"


@pytest.mark.parametrize(
    "spoil", [lesion_twice, box_outside, no_image, no_disclaimer, id_with_a_path]
)
def test_a_report_that_contradicts_itself_is_one_line_and_hurts_no_other(
    reports: Path, spoil: Any
) -> None:
    path = another(reports, "1.2.9") / "report.json"
    content = json.loads(path.read_bytes())
    spoil(content)
    path.write_text(json.dumps(content))
    library = Library(reports)
    assert [one.study_uid for one in library.summaries()] == [STUDY_UID]
    (broken,) = library.broken()
    assert broken.folder == "1.2.9"
    assert "1.2.9/report.json" in broken.why
    assert "\n" not in broken.why


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"null"]
)
def test_what_is_no_report_is_one_line(reports: Path, content: bytes) -> None:
    (reports / "x").mkdir()
    (reports / "x" / "report.json").write_bytes(content)
    library = Library(reports)
    assert len(library.summaries()) == 1
    (broken,) = library.broken()
    assert len(broken.why.splitlines()) == 1
    assert broken.why.startswith("x/report.json: expected")


def test_of_two_reports_of_a_study_the_newer_counts(reports: Path) -> None:
    folder = another(reports, "copy")
    content = json.loads((folder / "report.json").read_bytes())
    content["study"]["study_uid"] = STUDY_UID
    (folder / "report.json").write_text(json.dumps(content))
    (one,) = Library(reports).summaries()
    assert one.folder == folder


def test_many_new_reports_come_bit_by_bit_and_none_is_forgotten(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        another(reports, f"1.2.{number}")
    monkeypatch.setattr("calcilens.review.library._BUDGET_S", 0.0)
    library = Library(reports)
    counts = [len(library.summaries()) for _ in range(7)]
    assert counts == [1, 2, 3, 4, 5, 6, 6]
    assert library.unread == 0


def test_the_first_list_waits_for_what_is_read_in_the_background(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calcilens.review.library._EVERY_S", 0.02)
    monkeypatch.setattr("calcilens.review.library._BUDGET_S", 60.0)
    for number in range(5):
        another(reports, f"1.2.{number}")
    library = Library(reports)
    library.start()
    try:
        assert len(library.summaries()) == 6
        assert library.get("1.2.3").study_uid == "1.2.3"
    finally:
        library.close()


def test_a_study_that_comes_while_the_thread_runs_is_listed(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calcilens.review.library._EVERY_S", 0.02)
    library = Library(reports)
    library.start()
    try:
        assert len(library.summaries()) == 1
        another(reports, "1.2.9")
        until = time.monotonic() + 30
        while len(library.summaries()) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert [one.study_uid for one in library.summaries()] == [STUDY_UID, "1.2.9"]
    finally:
        library.close()
