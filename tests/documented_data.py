"""What a reader of the documentation has at hand, made small: names as in README and docs."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import made_whole, write_study
from tests.data_manifests.made import LABELS, lidc_nodule, save_png, tissue, write_table

PATIENTS = 15


def write_documented_data(folder: Path) -> None:
    """Write two studies, `roi.json` and bones, `my-data` and a copy of the LIDC layout."""
    with made_whole(folder / "phantom") as phantom:
        write_study(phantom, Plan(seed=1, follow_up=1.5))
    (folder / "phantom" / "dicom").rename(folder / "my-prior")
    (folder / "phantom" / "follow-up" / "dicom").rename(folder / "my-study")
    (folder / "phantom" / "follow-up" / "roi.json").rename(folder / "roi.json")
    _write_bones(folder / "my-study", folder / "bones.nii.gz")
    (folder / "case.json").write_text(_shown_case())
    _write_own_data(folder / "my-data")
    _write_lidc(folder / "data")


def _shown_case() -> str:
    """Return the case that the page on guidance shows."""
    page = (Path(__file__).parent.parent / "docs" / "guidance.md").read_text()
    return page.partition("```json\n")[2].partition("```")[0]


def _write_bones(study: Path, path: Path) -> None:
    """Write the bones of a study as other programs do: NIfTI, in the grid of the CT."""
    image = read_study(study).images[0]
    if not isinstance(image, Volume):
        raise TypeError("expected a CT")
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine.matrix[:, [2, 1, 0, 3]]
    bones = anatomy(image).bone.astype(np.uint8).transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(bones, to_ras), path)


def _write_own_data(folder: Path) -> None:
    """Write PNG crops with a box, a patient and labels; every second lesion holds mineral."""
    rows = []
    for number in range(2 * PATIENTS):
        calcified = number % 2
        pixels = tissue(number, 96) // 2
        if calcified:
            pixels[40:56, 38:58] = 250
        save_png(pixels, folder / f"lesion-{number:02d}.png")
        rows.append(
            {
                "image": f"lesion-{number:02d}.png",
                "patient": f"patient {number // 2}",
                "modality": "CT",
                **{"y0": 36, "x0": 34, "y1": 60, "x1": 62},
                **{"spacing_y_mm": 0.7, "spacing_x_mm": 0.7},
                "finding": calcified,
                "concern": 1 - calcified,
                "pattern": "diffuse" if calcified else "",
            }
        )
    write_table(folder / "lesions.csv", rows)


def _write_lidc(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(PATIENTS):
        patient = f"LIDC-IDRI-{number + 1:04d}"
        lidc_nodule(folder / "LIDC-IDRI-slices", patient)
        votes = "|".join(str(v) for v in rng.choice([3, 6], 4))
        rows.append({**LABELS, "patient_id": patient, "calc_votes": votes})
    write_table(folder / "lidc_labels.csv", rows)
