"""Reviews as files: what is written, what is not, and that the next model learns from it."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from sqlalchemy import Engine
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.data_manifests.builders.reviews import build_reviews
from calcilens.data_manifests.leakage import check_leakage, placed
from calcilens.data_manifests.schema import truth, write_manifest
from calcilens.data_manifests.splits import with_splits
from calcilens.data_manifests.validate import validate_file
from calcilens.errors import ManifestError, UsageError
from calcilens.review.answers import Answer
from calcilens.review.attachments import Attachments
from calcilens.review.database import opened
from calcilens.review.export.folder import Settings, export
from calcilens.review.export.tables import _text
from calcilens.review.library import Library
from calcilens.review.reading import Place, Reading
from calcilens.review.shelf import Shelf
from tests.data_manifests.made import tissue
from tests.inference.structured import faults, named
from tests.review.day import Day, make_day
from tests.review.made import ANN, BEN, DORA, NO, YES
from tests.training.conftest import alone  # noqa: F401 - a fixture
from tests.training.made import brief

SALT = b"a secret of sixteen bytes"
HIGH = Answer(True, ("laminated",), "high", 5, "=HYPERLINK(1)", None, None)
BOX = ((2, 10, 12), (5, 30, 40))
"""Of the lesion that the report lacks; of the mask that was drawn:"""
DRAWN = ((2, 40, 42), (5, 60, 70))
PATIENT = "SECRET-"
MASK = np.zeros((3, 20, 28), bool)
MASK[:, 4:9, 5:20] = True


@dataclass(frozen=True)
class Done:
    """A day that was read: the first study settled, the second agreed, the third waiting."""

    day: Day
    engine: Engine
    lesions: dict[str, tuple[str, ...]]

    @property
    def library(self) -> Library:
        """One that has read every report, however slow the machine is."""
        found = Library(self.day.reports)
        while len(found.summaries()) < len(self.day.uids):
            pass
        return found


def mask() -> bytes:
    bits = base64.b64encode(np.packbits(MASK).tobytes()).decode()
    return json.dumps({"box": DRAWN, "bits": bits}).encode()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("day")
    day = make_day(folder, 4)
    with opened(folder / "reviews.sqlite") as engine:
        found = Done(day, engine, _lesions(day))
        _read_all(found)
        yield found


def _lesions(day: Day) -> dict[str, tuple[str, ...]]:
    library = Library(day.reports)
    while len(library.summaries()) < len(day.uids):
        pass
    return {uid: tuple(p.id for p in library.get(uid).lesions) for uid in day.uids}


def _read_all(done: Done) -> None:
    reading = Reading(done.engine, Shelf(done.library), readers=2, blinded=True)
    first, second, third, film = done.day.uids
    drawn = replace(HIGH, mask=Attachments(done.engine).put(mask()))
    _read(reading, ANN, first, done, (YES, drawn), missed=replace(HIGH, comment=""))
    _read(reading, BEN, first, done, (YES, NO))
    reading.take(DORA, first)
    groups = reading.state(first).disputed(done.lesions[first])
    for group in groups:
        told = HIGH if group.id.startswith("A") else drawn
        reading.settle(DORA, first, group.id, told, based_on=0, seconds=4)
    reading.sign(DORA, first, {"settling": 9})
    for reader in (ANN, BEN):
        _read(reading, reader, second, done, (YES, NO))
        _read(reading, reader, film, done, (replace(YES, box=((0, 5, 5), (1, 40, 40))), HIGH))
    _read(reading, ANN, third, done, (YES, NO))


def _read(
    reading: Reading, reader: Any, uid: str, done: Done, said: tuple[Answer, ...], **more: Answer
) -> None:
    reading.take(reader, uid)
    for lesion, answer in zip(done.lesions[uid], said, strict=True):
        reading.commit(reader, uid, lesion, replace(answer, concern="low"), 2)
        reading.verdict(reader, uid, lesion, answer, based_on=0, seconds=3)
    for answer in more.values():
        series = done.library.get(uid).images[0].series_uid
        reading.add(reader, uid, Place(0, series, (16, 128, 144), BOX), answer, 5)
    reading.sign(reader, uid, {"reading": 30})


@pytest.fixture(scope="module")
def out(done: Done, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "export"
    told = export(done.engine, Library(done.day.reports), out)
    assert (told.studies, told.done, told.documents, told.notes) == (4, 3, 6, ())
    return out


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO((out / "verdicts.csv").read_text())))


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "reviews.jsonl").read_text().splitlines()]


def test_every_answer_of_who_signed_is_a_row_with_its_place_in_the_journal(
    done: Done, out: Path
) -> None:
    found = rows(out)
    phases = [row["phase"] for row in found]
    assert {name: phases.count(name) for name in set(phases)} == {
        "blinded": 14,
        "final": 15,
        "settled": 2,
    }
    entries = {e.seq: e for e in Reading(done.engine, Shelf(done.library), readers=2, blinded=True)
               .history(done.day.uids[0])}  # fmt: skip
    for row in (row for row in found if row["study_uid"] == done.day.uids[0]):
        entry = entries[int(row["seq"])]
        assert (row["hash"], row["reader"], row["time"]) == (entry.hash, entry.reader, entry.time)


def test_a_comment_is_no_formula_of_a_spreadsheet(out: Path) -> None:
    comments = {row["comment"] for row in rows(out)}
    assert "'=HYPERLINK(1)" in comments
    assert not [text for text in comments if text.startswith("=")]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "\x00=", "＝"])
def test_no_begin_of_a_comment_is_run_by_a_spreadsheet_or_a_terminal(begin: str) -> None:
    shown = _text(f"{begin}1+1\x1b[2J\x00 日本")
    assert shown.startswith("'")
    assert not set(shown) & {"\x00", "\x1b", "\r"}
    assert "日本" in shown


def test_what_does_not_stand_any_more_is_gone_from_the_folder(done: Done, tmp_path: Path) -> None:
    out, uid = tmp_path / "out", done.day.uids[0]
    export(done.engine, done.library, out)
    beside = out / "dicom" / uid / "notes.txt"
    beside.write_text("of somebody")
    film = out / "dicom" / done.day.uids[3]
    before = sorted(film.iterdir())
    with _opened_again(done, tmp_path) as engine:
        export(engine, done.library, out)
    assert list((out / "dicom" / uid).iterdir()) == [beside]
    assert not list((out / "masks").rglob("*.nii.gz"))
    assert sorted(film.iterdir()) == before


@contextmanager
def _opened_again(done: Done, folder: Path) -> Iterator[Engine]:
    """Yield a copy of the reviews in which the settled study was opened again."""
    copy = folder / "copy.sqlite"
    with closing(sqlite3.connect(copy)) as target, done.engine.connect() as source:
        source.connection.driver_connection.backup(target)  # type: ignore[union-attr]
    with opened(copy) as engine:
        reading = Reading(engine, Shelf(done.library), readers=2, blinded=True)
        reading.reopen(DORA, done.day.uids[0], "overlooked the calf")
        yield engine


def test_a_mask_that_cannot_be_written_stops_nothing_else(
    done: Done, out: Path, tmp_path: Path
) -> None:
    reports = Path(shutil.copytree(done.day.reports, tmp_path / "reports"))
    for mask in (reports / done.day.uids[0]).glob("lesions/*/mask.nii.gz"):
        mask.write_bytes(b"broken")
    told = export(done.engine, Library(reports), tmp_path / "out")
    assert (told.studies, told.done, told.documents) == (4, 3, 6)
    assert told.notes
    assert all("no mask: " in note and "expected a NIfTI file" in note for note in told.notes)
    assert rows(tmp_path / "out")[-1] == rows(out)[-1]


def test_no_patient_is_in_tables_and_figures(out: Path) -> None:
    for path in [*out.glob("*.csv"), *out.glob("*.json*"), *out.glob("*.svg")]:
        assert PATIENT not in path.read_text()


def test_the_same_reviews_give_the_same_bytes(done: Done, out: Path, tmp_path: Path) -> None:
    export(done.engine, done.library, tmp_path / "again")
    first = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    again = tmp_path / "again"
    assert {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()} == first


def test_a_mask_lies_in_the_grid_of_its_image(done: Done, out: Path) -> None:
    uid = done.day.uids[0]
    written = nibabel.load(next((out / "masks" / uid).glob("*.nii.gz")))
    place = done.library.get(uid).lesions[0]
    assert place.mask is not None
    known = nibabel.load(place.mask)
    assert written.shape == known.shape
    np.testing.assert_array_equal(written.affine, known.affine)
    stack = np.asarray(written.dataobj).T
    (z0, y0, x0), (z1, y1, x1) = DRAWN
    np.testing.assert_array_equal(stack[z0:z1, y0:y1, x0:x1], MASK)
    assert stack.sum() == MASK.sum()


def test_pseudonyms_leave_no_sign_in_name(done: Done, tmp_path: Path) -> None:
    export(done.engine, done.library, tmp_path / "out", Settings(pseudonyms=True))
    for path in (p for p in (tmp_path / "out").rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert not [name for name in (b'"ann"', b",ann,", b"ann^", b"dora^") if name in content]
    readers = {row["reader"] for row in rows(tmp_path / "out")}
    assert readers == {"reader-1", "reader-2", "reader-3"}


def test_documents_of_done_studies_are_verified_and_have_no_fault(done: Done, out: Path) -> None:
    first, second, third, film = done.day.uids
    assert {p.name for p in (out / "dicom").iterdir()} == {first, second, film}
    for path in (out / "dicom").rglob("*.dcm"):
        assert faults(path) == set()
    settled = dcmread(out / "dicom" / first / "verified-sr-1.dcm")
    assert [str(x.VerifyingObserverName) for x in settled.VerifyingObserverSequence] == ["dora^"]
    agreed = dcmread(out / "dicom" / second / "verified-sr-1.dcm")
    assert len(agreed.VerifyingObserverSequence) == 2
    assert len(named(agreed, "REJECTED")) == 1
    assert third not in {p.name for p in (out / "dicom").iterdir()}


def test_a_missed_lesion_is_in_the_verified_report_where_it_was_drawn(
    done: Done, out: Path
) -> None:
    document = dcmread(out / "dicom" / done.day.uids[0] / "verified-sr-1.dcm")
    (missed,) = [
        group
        for group in named(document, "125007")
        if "ADDED" in [x.ConceptCodeSequence[0].CodeValue for x in named(group, "READER_ACTION")]
    ]
    lines = [np.reshape(x.GraphicData, (-1, 2)) for x in named(missed, "111030")]
    assert len(lines) == BOX[1][0] - BOX[0][0]
    # The box that was added.
    corners = [(line.min(0).tolist(), line.max(0).tolist()) for line in lines]
    assert {str(c) for c in corners} == {str(([12.0, 10.0], [40.0, 30.0]))}


def test_a_report_without_a_structured_one_costs_one_line(done: Done, tmp_path: Path) -> None:
    folder = done.library.get(done.day.uids[1]).folder
    hidden = folder / "dicom-away"
    (folder / "dicom").rename(hidden)
    try:
        told = export(done.engine, done.library, tmp_path / "out")
    finally:
        hidden.rename(folder / "dicom")
    (note,) = told.notes
    assert "run `calcilens predict` with --formats sr" in note
    assert told.documents == 4


# --- the manifest ---


def manifest_rows(out: Path, done: Done, **how: Any) -> Any:
    built = build_reviews(out, done.day.studies, SALT, **how)
    assert built.refused == ()
    return built


def test_votes_are_those_before_the_model_was_seen_and_labels_what_was_settled(
    done: Done, out: Path
) -> None:
    built = manifest_rows(out, done)
    frame = truth(built.manifest.frame)
    assert len(frame) == 7
    assert built.notes == ("2 lesions are not settled yet and left out",)
    disputed = frame[frame["mask"].notna() & (frame["readers"] == 2)].iloc[0]
    assert sorted(disputed["finding_votes"]) == [0, 1]
    assert sorted(disputed["pattern_votes"]) == ["absent", "laminated"]
    assert (disputed["finding"], disputed["pattern"], disputed["concern"]) == (1, ["laminated"], 1)
    assert disputed["concern_votes"] is None
    rejected = frame[frame["finding"] == 0]
    assert len(rejected) == 1
    assert rejected.iloc[0]["pattern"] is None
    assert np.isnan(rejected.iloc[0]["concern"])


def test_boxes_are_as_redrawn_and_patients_are_hashed(done: Done, out: Path) -> None:
    frame = manifest_rows(out, done).manifest.frame
    films = frame[frame["modality"] != "CT"]
    assert (5, 5, 40, 40) in {tuple(r) for r in films[["y0", "x0", "y1", "x1"]].to_numpy().tolist()}
    assert frame["patient_key"].str.fullmatch("[0-9a-f]{16}").all()
    assert frame["patient_key"].nunique() == 3


def test_final_votes_are_taken_on_request(done: Done, out: Path) -> None:
    blinded, final = (
        truth(manifest_rows(out, done, final_votes=flag).manifest.frame) for flag in (False, True)
    )
    assert len(blinded) == len(final)


def test_what_is_no_export_is_told(tmp_path: Path, done: Done) -> None:
    with pytest.raises(UsageError, match=r"--reviews: expected reviews\.jsonl, found no such file"):
        build_reviews(tmp_path, done.day.studies, SALT)
    (tmp_path / "reviews.jsonl").write_text("{}\n")
    with pytest.raises(
        ManifestError, match=r"reviews\.jsonl, line 1: expected what an export holds"
    ):
        build_reviews(tmp_path, done.day.studies, SALT)


CHANGED: list[dict[str, Any]] = [
    {"final": 5},
    {"box": None},
    {"box": [[0, 0, 0], [10.5, 1, 1]]},
    {"answers": 5},
    {"answers": [{"stage": "blinded"}]},
    {"series_uid": []},
    {"key_plane": "x"},
    *({"final": {"calcified": True, "patterns": ["diffuse"], "concern": None, **one}} for one in (
        {"calcified": "x"}, {"patterns": None}, {"patterns": ["of mine"]}, {"mask": "/etc/passwd"},
        {"mask": "masks/../../../etc/passwd"}, {"box": [[0, 0, 0]]})),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGED, ids=str)
def test_a_line_that_no_export_wrote_is_named(
    done: Done, out: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    first, *rest = lines(out)
    content = "".join(f"{json.dumps(line)}\n" for line in (first | change, *rest))
    (tmp_path / "reviews.jsonl").write_text(content)
    with pytest.raises(ManifestError, match=r"line 1: expected what an export holds, found"):
        build_reviews(tmp_path, done.day.studies, SALT)


def test_an_image_that_is_gone_is_one_line(done: Done, out: Path, tmp_path: Path) -> None:
    kept = next(iter((done.day.studies).iterdir()))
    built = build_reviews(out, kept, SALT)
    assert built.refused
    assert all("an image below --root" in fault.message for fault in built.refused)


def test_no_image_and_no_answer_that_stands_are_told_apart(
    done: Done, out: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    with pytest.raises(ManifestError, match="--root elsewhere: expected images that were reviewed"):
        build_reviews(out, empty, SALT)
    (empty / "reviews.jsonl").write_text("")
    with pytest.raises(ManifestError, match="a lesion on which an answer stands, found none of 0"):
        build_reviews(empty, done.day.studies, SALT)


def test_images_are_found_through_links_even_in_a_circle(
    done: Done, out: Path, tmp_path: Path
) -> None:
    for study in done.day.studies.iterdir():
        (tmp_path / study.name).symlink_to(study)
    (tmp_path / "round").symlink_to(tmp_path)
    built = build_reviews(out, tmp_path, SALT)
    assert not built.refused
    assert len(built.manifest) == len(build_reviews(out, done.day.studies, SALT).manifest)


def test_the_command_builds_the_manifest(done: Done, out: Path, tmp_path: Path) -> None:
    words = ["manifest", "build", "reviews", "--reviews", str(out), "--root"]
    where = [str(done.day.studies), "--out", str(tmp_path / "m.parquet")]
    salt = tmp_path / "salt"
    salt.write_bytes(SALT)
    said = CliRunner().invoke(app, [*words, *where, "--salt-file", str(salt), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["rows"] == 7


def textured(studies: Path, copy: Path) -> Path:
    """The same studies with a tissue of its own in each: the made ones look too much alike."""
    shutil.copytree(studies, copy)
    for number, path in enumerate(sorted(copy.rglob("*.dcm"))):
        file = dcmread(path)
        pixels = file.pixel_array
        grain = tissue(number, 512)[: pixels.shape[0], : pixels.shape[1]].astype(pixels.dtype)
        file.PixelData = (pixels // 4 + 10 * grain).tobytes()  # within 12 bits
        file.save_as(path)
    return copy


@pytest.mark.slow
def test_the_manifest_validates_splits_and_trains(
    done: Done,
    out: Path,
    tmp_path: Path,
    alone: None,  # noqa: F811
) -> None:
    from calcilens.training.cli import MODEL_FILE, train

    built = build_reviews(out, textured(done.day.studies, tmp_path / "studies"), SALT)
    path = tmp_path / "reviews.parquet"
    built.manifest.frame = built.manifest.frame[built.manifest.frame["modality"] == "CT"]
    split = with_splits(built.manifest, {"val": 0.4, "test": 0.0}, seed=0, copies=[])
    write_manifest(split, path)
    assert validate_file(path) == []
    assert check_leakage(split, placed(split)) == []
    train(brief("ct", path, tmp_path / "run", "--trainer.max_epochs=1"))
    assert (tmp_path / "run" / MODEL_FILE).is_file()
