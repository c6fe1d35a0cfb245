"""Studies as DICOM files and the folder of reports on them, small and made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.candidates import candidate
from calcilens.imaging.patches import PatchLocation
from calcilens.imaging.study import Study, read_study
from calcilens.inference.lesions import Lesion, SaliencyMap
from calcilens.inference.output import write_study
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.report import StudyReport
from calcilens.inference.stopwatch import Stopwatch
from tests.dicom_factory import STUDY_UID, ct_slices, radiograph, save, save_all
from tests.inference.made import FakeModel

__all__ = ["STUDY_UID", "make_dicom", "make_report"]
SHAPE = (10, 48, 40)
BALL = (4, 20, 25)
CORNER = [[0, 0, 0], [3, 9, 8]]


def hu() -> NDArray[np.int64]:
    """Tissue with a noise of its own at each voxel, one dense ball and one in a corner."""
    values = np.random.default_rng(1).integers(20, 60, SHAPE)
    for middle in (BALL, (1, 4, 4)):
        far = np.indices(SHAPE) - np.reshape(middle, (3, 1, 1, 1))
        values[(far**2 * np.reshape((4, 1, 1), (3, 1, 1, 1))).sum(0) < 16] = 700
    return values


def make_dicom(folder: Path) -> Path:
    """Write a CT and a film of one study; the film's own window is narrower than its values."""
    save_all(ct_slices((hu() + 1024).astype(np.uint16)), folder / "DOE^JANE")
    stored = np.random.default_rng(2).integers(100, 4000, (700, 530)).astype(np.uint16)
    film = radiograph(stored, WindowCenter=1500, WindowWidth=2000, InstanceNumber=3)
    film.SeriesInstanceUID, film.SOPInstanceUID = f"{STUDY_UID}.2", f"{STUDY_UID}.2.1"
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    save(film, folder / "film.dcm")
    return folder


def make_report(dicom: Path, reports: Path) -> tuple[Study, StudyReport]:
    """Write the report of a study with two lesions on its CT and one on its film."""
    study = read_study(dicom)
    ct, film = study.images
    given = [
        (ct, candidate(ct, [[2, 15, 20], [7, 26, 31]], None, "given in a test")),
        (ct, candidate(ct, CORNER, None, "given in a test")),
        (film, candidate(film, [[0, 100, 60], [1, 140, 90]], None, "given in a test")),
    ]
    report = run_study(study, Models(ct=FakeModel()), given)
    report = replace(report, lesions=tuple(_seen(x) for x in report.lesions))
    write_study(report, reports, ("json",), {}, Stopwatch())
    return study, report


def _seen(lesion: Lesion) -> Lesion:
    """Give a lesion a map that reaches beyond the image."""
    values = np.random.default_rng(3).random((64, 64)).astype(np.float32)
    y, x = (int(v) for v in lesion.candidate.box[0, 1:] - 20)
    place = PatchLocation((lesion.key_plane,) * 3, (y, x), 64)
    return replace(lesion, saliency=SaliencyMap(values, place, "a test", 0.9, shown=True))
