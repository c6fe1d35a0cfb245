"""Write a simulated study: DICOM objects with their exact truth beside them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from calcilens.errors import InputError, compose
from calcilens.imaging.geometry import Affine
from calcilens.phantoms.dicom_objects import ct_plane
from calcilens.phantoms.study import Plan, Visit, change, study_truth, visits

FOLLOW_UP = "follow-up"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Masks = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Series:
    """What was written of one image.

    Args:
        visit: Of which study.
        folder: Of the visit: `dicom`, `masks` and the truth lie in it.
        name: Of the image.
        files: Its DICOM files, in the order of the planes.
        masks: (Z, Y, X) bool, one a lesion, by its id.
    """

    visit: Visit
    folder: Path
    name: str
    files: tuple[Path, ...]
    masks: Masks


@contextmanager
def made_whole(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `out` at the end, or vanishes on an error.

    Raises:
        InputError: `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            compose("a folder that is missing or empty", "something else", where=f"--out {out}")
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as part:
        whole = Path(part) / out.name
        whole.mkdir()
        yield whole
        if out.exists():
            out.rmdir()
        shutil.move(whole, out)


def write_study(out: Path, plan: Plan) -> list[Series]:
    """Write a study, and its follow-up in `out/follow-up`.

    Each has `dicom/*.dcm`, `masks/*.nii.gz`, `truth.json` and `roi.json`. The same plan gives
    the same files, UIDs included.

    Args:
        out: Folder that is there.
        plan: What to make.
    """
    written: list[Series] = []
    days = visits(plan)
    with threadpool_limits(1):  # the last bit of a sum hangs on the number of threads
        for visit in days:
            folder = out / FOLLOW_UP if visit.number else out
            truth = study_truth(visit)
            series = _write_ct(visit, folder, truth)
            if visit.number:
                truth["change"] = change(days[0], visit)
            _write_json(folder / "truth.json", truth)
            _write_json(folder / "roi.json", {"lesions": _boxes(truth)})
            written += series
    return written


def _write_ct(visit: Visit, folder: Path, truth: dict[str, Any]) -> list[Series]:
    """Write the planes and masks of a CT; add to the truth where the lesions lie in it."""
    scan = visit.scan
    image = scan.render(visit.tissue_rng())
    for name in ("dicom", "masks"):
        (folder / name).mkdir(parents=True)
    files = []
    for plane in range(len(image.hu)):
        files.append(folder / "dicom" / f"ct-{plane:03d}.dcm")
        ct_plane(visit, image, plane).save_as(files[-1], enforce_file_format=True)
    pixel, step = scan.settings.pixel_mm, scan.settings.interval_mm
    affine = Affine.from_dicom(
        tuple(image.start[::-1]), (1, 0, 0, 0, 1, 0), (pixel, pixel), (0, 0, step)
    )
    truth["series_uid"] = visit.uid("series")
    masks: Masks = {}
    for lesion, mask in zip(truth["lesions"], image.masks, strict=True):
        masks[lesion["id"]] = mask
        lesion["box_vox"] = bounds(mask).tolist()
        lesion["mask"] = f"masks/{lesion['id']}.nii.gz"
        lesion["mask_volume_mm3"] = round(float(mask.sum() * np.prod(affine.spacing_mm)), 2)
        _write_nifti(folder / lesion["mask"], mask, affine)
    return [Series(visit, folder, "ct", tuple(files), masks)]


def _boxes(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lesions in the form that `calcilens predict --roi` reads."""
    return [
        {"series_uid": truth["series_uid"], "box": lesion["box_vox"]} for lesion in truth["lesions"]
    ]


def bounds(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the half-open (2, N) box of a mask that is not empty."""
    where = np.argwhere(mask)
    return np.stack([where.min(0), where.max(0) + 1])


def _write_nifti(path: Path, mask: NDArray[np.bool_], affine: Affine) -> None:
    """Write a mask (Z, Y, X) as NIfTI does: (X, Y, Z), RAS."""
    to_ras = _LPS_TO_RAS @ affine.matrix[:, [2, 1, 0, 3]]
    picture = nibabel.Nifti1Image(mask.astype(np.uint8).transpose(2, 1, 0), to_ras)
    picture.header.set_xyzt_units("mm")
    nibabel.save(picture, path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
