"""What is written: whole or not at all, true to the schema, in place, safe to open."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image as Pillow

from calcilens import DISCLAIMER
from calcilens.imaging.images import Radiograph
from calcilens.imaging.records import Skipped
from calcilens.inference import output
from calcilens.inference.batch import Outcome, Wishes, run_all
from calcilens.inference.export.codes import CODE_KNOTS, HU_KNOTS, to_codes
from calcilens.inference.export.html import build
from calcilens.inference.export.viewer import letters, payload
from calcilens.inference.export.words import percent
from calcilens.inference.formats import USUAL
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.provenance import folder_name
from calcilens.inference.report import to_json
from calcilens.inference.report_schema import schema
from calcilens.models.abstention import Reason
from tests.inference.made import STUDY_UID, FakeModel, FakeNetwork, ct, film, lesion_in, study


def run(out: Path, *images: object, given: bool = False, force: bool = False) -> list[Outcome]:
    whole = study(*(images or (ct(),)))  # type: ignore[arg-type]
    lesions = {STUDY_UID: [(i, lesion_in(i)) for i in whole.images]} if given else None
    models = Models(ct=FakeModel())
    return list(run_all([whole], models, lesions, Wishes(out, USUAL, force), seconds={}))


def test_a_study_gives_the_files_of_the_contract(tmp_path: Path) -> None:
    outcome = run(tmp_path, given=True)[0]
    folder = tmp_path / STUDY_UID
    assert outcome.state == "written"
    assert outcome.folder == str(folder)
    assert {p.name for p in folder.iterdir()} == {
        "report.json",
        "report.html",
        "run.json",
        "lesions",
    }
    report = json.loads((folder / "report.json").read_text())
    lesion = report["lesions"][0]
    files = {p.name for p in (folder / "lesions" / lesion["id"]).iterdir()}
    assert files >= {"image.png", "mask.nii.gz"}
    assert {f"lesions/{lesion['id']}/{n}" for n in files - {"image.png", "mask.nii.gz"}} == set(
        lesion["saliency"]["files"]
    )
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_the_mask_lies_on_the_voxels_of_the_image_in_ras(tmp_path: Path) -> None:
    run(tmp_path, given=True)
    path = next((tmp_path / STUDY_UID / "lesions").rglob("mask.nii.gz"))
    mask, image = nibabel.load(path), ct()
    inside = np.argwhere(np.asarray(mask.dataobj))
    assert mask.shape == image.hu.shape[::-1]
    assert len(inside) == (image.hu >= 130).sum()
    ras = mask.affine[:3, :3] @ inside[0] + mask.affine[:3, 3]
    assert ras * [-1, -1, 1] == pytest.approx(image.affine.to_mm(inside[0][::-1]))


def test_the_picture_shows_the_lesion_upright(tmp_path: Path) -> None:
    run(tmp_path, given=True)
    path = next((tmp_path / STUDY_UID / "lesions").rglob("image.png"))
    grey = np.asarray(Pillow.open(path).convert("L"), float)
    bright = np.argwhere(grey > 150).mean(0) / grey.shape
    assert bright == pytest.approx([0.5, 0.5], abs=0.1)


@pytest.mark.parametrize("flat", [False, True])
def test_report_json_fits_its_schema(flat: bool) -> None:
    image = film() if flat else ct()
    broken = (Skipped("a.dcm", "cannot be read"),)
    report = run_study(
        study(image, skipped=broken), Models(ct=FakeModel()), [(image, lesion_in(image))]
    )
    content = json.loads(json.dumps(to_json(report, []), allow_nan=False))
    Draft202012Validator(schema()).validate(content)
    lesion = content["lesions"][0]
    assert content["disclaimer"] == DISCLAIMER
    assert content["skipped"] == [{"file_or_series": "file 50762d36", "reason": "cannot be read"}]
    assert (lesion["box_mm"] is None) == flat
    assert (lesion["box_px"] is None) == (not flat)
    for name, value in lesion["measurements"].items():
        assert name == "how" or value is not None or lesion["measurements"]["how"][name]


def test_the_schema_itself_is_valid_and_refuses_a_silent_abstention() -> None:
    Draft202012Validator.check_schema(schema())
    image = film()
    report = run_study(study(image), Models(), [(image, lesion_in(image))])
    content = to_json(report, [])
    content["lesions"][0]["finding"]["why"] = None
    assert not Draft202012Validator(schema()).is_valid(content)


def test_a_second_run_keeps_the_report_unless_something_changed(tmp_path: Path) -> None:
    assert run(tmp_path)[0].state == "written"
    first = (tmp_path / STUDY_UID / "run.json").stat().st_ino
    kept = run(tmp_path)[0]
    assert (kept.state, kept.lesions) == ("kept", 1)
    assert (tmp_path / STUDY_UID / "run.json").stat().st_ino == first
    assert run(tmp_path, given=True)[0].state == "written"
    assert run(tmp_path, given=True, force=True)[0].state == "written"


def test_reports_of_the_same_input_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(tmp_path / name, given=True)
    a, b = (tmp_path / n / STUDY_UID for n in ("a", "b"))
    for path in sorted(p for p in a.rglob("*") if p.is_file() and p.name != "run.json"):
        assert path.read_bytes() == (b / path.relative_to(a)).read_bytes(), path.name


@pytest.mark.parametrize(
    "fault", [OSError(28, "No space left on device"), KeyboardInterrupt("by the user")]
)
def test_a_run_that_is_cut_short_leaves_the_earlier_report_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    run(tmp_path)
    before = (tmp_path / STUDY_UID / "report.json").read_bytes()

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(output, "_write_html", fail)
    with pytest.raises(type(fault), match=r"No space left|by the user"):
        run(tmp_path, force=True)
    assert (tmp_path / STUDY_UID / "report.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_a_run_that_was_killed_between_two_renames_is_mended(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / STUDY_UID).rename(tmp_path / f".{STUDY_UID}-x.old")
    assert run(tmp_path)[0].state in ("written", "kept")
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_what_a_killed_run_left_unfinished_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom calcilens.inference import output\n"
        "with output._replacing(Path(sys.argv[1])) as part:\n"
        "    (part / 'run.json').touch()\n    os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / STUDY_UID)]
    assert subprocess.run(words, check=False).returncode == -9
    assert [p.name for p in tmp_path.iterdir()] != []
    run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_a_link_to_a_study_folder_stays_and_its_folder_gets_the_report(tmp_path: Path) -> None:
    real, out = tmp_path / "real", tmp_path / "out"
    for folder in (real, out):
        folder.mkdir()
    (real / "notes.txt").write_text("checked")
    (out / STUDY_UID).symlink_to(real)
    for force in (False, True):
        assert run(out, force=force)[0].state == "written"
    assert {p.name for p in real.iterdir()} >= {"notes.txt", "run.json", "report.json"}
    assert (out / STUDY_UID).is_symlink()
    assert sorted(p.name for p in (*out.iterdir(), *tmp_path.iterdir())) == sorted(
        [STUDY_UID, "real", "out"]
    )


def test_a_link_to_nothing_in_the_place_of_the_report_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / STUDY_UID).symlink_to(tmp_path / "nowhere")
    outcome = run(tmp_path)[0]
    assert outcome.state == "failed"
    assert "expected a folder or nothing, found a link to nothing" in str(outcome.why)
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_a_file_name_never_reaches_a_report(tmp_path: Path) -> None:
    whole = study(ct(), skipped=(Skipped("Secret_Name.dcm", "cannot be read"),))
    list(run_all([whole], Models(), None, Wishes(tmp_path, USUAL), seconds={}))
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert {"report.html", "report.json", "run.json"} <= {f.name for f in files}
    assert not [f for f in files if b"Secret" in f.read_bytes()]


def test_what_the_user_put_into_a_report_folder_stays_there(tmp_path: Path) -> None:
    run(tmp_path)
    notes = tmp_path / STUDY_UID / "notes.txt"
    notes.write_text("checked")
    assert run(tmp_path, force=True)[0].state == "written"
    assert notes.read_text() == "checked"
    assert [p.name for p in tmp_path.iterdir()] == [STUDY_UID]


def test_a_file_in_the_place_of_the_report_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / STUDY_UID).write_text("a file of the user")
    outcome = run(tmp_path)[0]
    assert outcome.state == "failed"
    assert "expected a folder or nothing, found a file" in str(outcome.why)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["a file of the user"]


def test_a_study_too_large_for_memory_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(output, "_write_html", fail)
    outcome = run(tmp_path)[0]
    assert (outcome.state, outcome.why) == ("failed", "not enough memory for it")


def test_one_broken_study_does_not_stop_the_others(tmp_path: Path) -> None:
    broken, sound = study(ct()), study(film())
    object.__setattr__(broken.images[0], "hu", None)
    wishes = Wishes(tmp_path, USUAL)
    found = list(run_all([broken, sound], Models(), None, wishes, seconds={}))
    assert [o.state for o in found] == ["failed", "written"]
    assert "a fault of the program: run again with CALCILENS_DEBUG=1" in str(found[0].why)


@pytest.mark.parametrize("uid", ["../../etc", "", "..", "a/b", "1.2 "])
def test_a_study_uid_that_is_none_never_becomes_a_path(uid: str) -> None:
    assert re.fullmatch(r"study-[0-9a-f]{16}", folder_name(uid))


def test_a_report_that_lost_a_file_is_made_again(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / STUDY_UID / "report.json").unlink()
    assert [run(tmp_path)[0].state for _ in range(2)] == ["written", "kept"]


def test_the_slices_of_a_lesion_are_those_that_the_page_names(tmp_path: Path) -> None:
    text = page(tmp_path)
    (lesion,) = json.loads((tmp_path / STUDY_UID / "report.json").read_text())["lesions"]
    assert "Slices {}–{}".format(*lesion["slices"]) in text
    assert len(lesion["sop_uids"]) == lesion["slices"][1] - lesion["slices"][0] + 1


def test_run_json_holds_versions_hashes_and_times(tmp_path: Path) -> None:
    run(tmp_path)
    facts = json.loads((tmp_path / STUDY_UID / "run.json").read_text())
    assert facts["models"]["ct"] == {"name": "fake", "version": "1", "sha256": "0" * 64}
    assert facts["models"]["radiograph"] is None
    assert {"candidates", "predictions", "saliency", "html"} <= facts["seconds"].keys()


def page(tmp_path: Path, *images: object) -> str:
    run(tmp_path, *images, given=True)
    return (tmp_path / STUDY_UID / "report.html").read_text()


def test_the_page_asks_for_nothing_from_outside_and_escapes_what_it_shows(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "http" not in re.sub(r"data:image[^\"]+", "", text).replace("http-equiv", "")
    assert "default-src 'none'" in text.replace("&#39;", "'")
    assert "made for &lt;tests&gt; &amp; nothing else" in text
    assert "<tests>" not in text
    assert " style=" not in text
    assert "eval(" not in text
    assert DISCLAIMER in text


def test_the_page_says_why_a_radiograph_is_not_judged(tmp_path: Path) -> None:
    text = page(tmp_path, film())
    assert "No radiograph model was given" in text
    assert "20 × 20 pixels" in text


def shown(network: FakeNetwork) -> str:
    image = ct()
    models = Models(ct=FakeModel(network))
    return build(run_study(study(image), models, [(image, lesion_in(image))]))


def test_the_page_names_what_is_not_ruled_out() -> None:
    text = shown(FakeNetwork(inside=["diffuse", "laminated"]))
    assert "· Diffuse or Laminated" in text
    assert "Not ruled out: Diffuse, Laminated." in text
    assert "90 % had it in their set" in text
    assert "No answer" not in text


def test_the_page_says_why_there_is_no_answer_and_shows_the_numbers_there_are() -> None:
    answered = Reason.ANSWERED
    undecided = shown(FakeNetwork(why=(Reason.UNDECIDED, answered, answered)))
    assert "No answer (undecided)" in undecided
    assert "<strong>No answer.</strong> Undecided: near one half" in undecided
    assert "Do not rely" not in undecided
    far = shown(FakeNetwork(why=(Reason.STRANGE_BRIGHTNESS,) * 3))
    assert "No answer (out of domain)" in far
    assert "Do not rely on the numbers below." in far
    assert far.lower().count("out of domain: brightness in and around the lesion is") == 1
    blank = shown(FakeNetwork(why=(Reason.NO_CONTENT,) * 3))
    assert "Measured, not judged" in blank
    assert "All pixels around the lesion have the same value." in blank


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "< 1 %"), (0.004, "< 1 %"), (0.006, "1 %"), (0.5, "50 %"), (0.994, "99 %")],
)
def test_no_probability_is_said_to_be_0_or_100_percent(share: float, words: str) -> None:
    assert percent(share) == words
    assert percent(1 - share) != "100 %"


def test_a_study_with_many_lesions_stays_below_8_mb(tmp_path: Path) -> None:
    image = ct((60, 512, 512))
    noisy = image.hu + np.random.default_rng(0).normal(0, 20, image.hu.shape).astype(np.int16)
    object.__setattr__(image, "hu", noisy)
    found = [(image, lesion_in(image))] * 2
    report = run_study(study(image), Models(), found)
    wide = {s: len(json.dumps(payload(report.lesions * s))) for s in (1, 10)}
    assert wide[10] < 8e6


def test_codes_keep_soft_tissue_within_2_hu_and_mineral_within_25() -> None:
    hu = np.arange(-1024, 3072)
    back = np.interp(to_codes(hu), CODE_KNOTS, HU_KNOTS)
    error = np.abs(back - hu)
    assert error[(hu > -200) & (hu < 400)].max() <= 2
    assert error.max() <= 25


def test_codes_of_whole_numbers_do_not_depend_on_how_they_are_kept() -> None:
    hu = np.arange(-(2**15), 2**15, 7)
    assert np.array_equal(to_codes(hu.astype(np.int16)), to_codes(hu.astype(np.float32)))


def test_orientation_letters_follow_the_affine() -> None:
    found = letters(ct())
    assert found == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert letters(film()) is None
    assert isinstance(film(), Radiograph)
