"""Write a simulated study: DICOM objects with their exact truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from calcilens.errors import UsageError, compose
from calcilens.files import name_file, part_folder
from calcilens.phantoms.dicom_objects import ct_plane, dx_image
from calcilens.phantoms.films import Films
from calcilens.phantoms.scan import Scan
from calcilens.phantoms.study import Plan, Visit, change, study_truth, visits

FOLLOW_UP = "follow-up"
VISITS = ("study", FOLLOW_UP)
STEPS = ("body", "scan", "files")
"""Of each visit, as they are told: "study: body" first."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Masks = dict[str, NDArray[np.bool_]]
Tell = Callable[[str], None]


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
        UsageError: `out` holds something already.
        OSError: It cannot be written; it is `out` that the error names.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            compose("a folder that is missing or empty", "something else", where=f"--out {out}")
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part_folder(out.parent, out.name) as part:
            whole = part / out.name
            whole.mkdir()
            yield whole
            if out.exists():
                out.rmdir()
            whole.rename(out)
    except OSError as error:
        name_file(error, out)  # libraries name a file of the part, or nothing
        raise


def write_study(out: Path, plan: Plan, tell: Tell = lambda stage: None) -> list[Series]:
    """Write a study, and its follow-up in `out/follow-up`.

    Each has `dicom/*.dcm`, `masks/*.nii.gz`, `truth.json` and `roi.json`. The same plan gives
    the same files, UIDs included.

    Args:
        out: Folder that is there.
        plan: What to make.
        tell: Called with each visit and step that begins.
    """
    written: list[Series] = []
    days = visits(plan)
    with threadpool_limits(1):  # the last bit of a sum hangs on the number of threads
        for visit in days:
            folder = out / FOLLOW_UP if visit.number else out

            def begin(step: str, visit: Visit = visit) -> None:
                tell(f"{VISITS[visit.number]}: {step}")

            begin("body")
            truth = study_truth(visit)
            written += _write_visit(visit, folder, truth, begin)
            if visit.number:
                truth["change"] = change(days[0], visit)
            _write_json(folder / "truth.json", truth)
    return written


def _write_visit(visit: Visit, folder: Path, truth: dict[str, Any], begin: Tell) -> list[Series]:
    for name in ("dicom", "masks"):
        (folder / name).mkdir(parents=True)
    if isinstance(visit.taken, Scan):
        return _write_ct(visit, visit.taken, folder, truth, begin)
    return _write_films(visit, visit.taken, folder, truth, begin)


def _write_ct(
    visit: Visit, scan: Scan, folder: Path, truth: dict[str, Any], begin: Tell
) -> list[Series]:
    """Write the planes and masks of a CT; add to the truth where the lesions lie in it."""
    begin("scan")
    image = scan.render(visit.tissue_rng())
    begin("files")
    files = []
    for plane in range(len(image.hu)):
        files.append(folder / "dicom" / f"ct-{plane:03d}.dcm")
        ct_plane(visit, scan.settings, image, plane).save_as(files[-1], enforce_file_format=True)
    affine = scan.affine(image)
    truth["series_uid"] = visit.uid("series")
    masks: Masks = {}
    for lesion, mask in zip(truth["lesions"], image.masks, strict=True):
        masks[lesion["id"]] = mask
        lesion["box_vox"] = bounds(mask).tolist()
        lesion["mask"] = f"masks/{lesion['id']}.nii.gz"
        lesion["mask_volume_mm3"] = round(float(mask.sum() * np.prod(affine.spacing_mm)), 2)
        _write_nifti(folder / lesion["mask"], mask, _LPS_TO_RAS @ affine.matrix[:, [2, 1, 0, 3]])
    boxes = [
        {"series_uid": truth["series_uid"], "box": lesion["box_vox"]} for lesion in truth["lesions"]
    ]
    _write_json(folder / "roi.json", {"lesions": boxes})
    return [Series(visit, folder, "ct", tuple(files), masks)]


def _write_films(
    visit: Visit, films: Films, folder: Path, truth: dict[str, Any], begin: Tell
) -> list[Series]:
    """Write both views and their masks; add to the truth where the lesions lie in them."""
    written, boxes = [], []
    for number, view in enumerate(films.views, 1):
        path = folder / "dicom" / f"{view.name}.dcm"
        begin("scan")
        image = view.render(visit.tissue_rng())
        dataset = dx_image(visit, view, image, number)
        dataset.save_as(path, enforce_file_format=True)
        masks: Masks = {}
        spacing = view.xray.spacing_mm
        seen = zip(truth["lesions"], image.masks, image.visible_each, strict=True)
        for lesion, mask, visible in seen:
            masks[lesion["id"]] = mask[None]
            name = f"masks/{lesion['id']}-{view.name}.nii.gz"
            _write_nifti(folder / name, mask[None], np.diag([-spacing, -spacing, 1, 1]))
            (y0, x0), (y1, x1) = bounds(mask).tolist()
            sop_uid = str(dataset.SOPInstanceUID)
            lesion.setdefault("views", {})[view.name] = {
                "sop_uid": sop_uid,
                "box_px": [x0, y0, x1, y1],
                "mask": name,
                "mask_area_mm2": round(float(mask.sum() * spacing**2), 2),
                "visible": round(visible, 2),
            }
            boxes.append({"sop_uid": sop_uid, "box_px": [x0, y0, x1, y1]})
        written.append(Series(visit, folder, view.name, (path,), masks))
    _write_json(folder / "roi.json", {"lesions": boxes})
    return written


def bounds(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the half-open (2, N) box of a mask that is not empty."""
    where = np.argwhere(mask)
    return np.stack([where.min(0), where.max(0) + 1])


def _write_nifti(path: Path, mask: NDArray[np.bool_], to_ras: NDArray[np.float64]) -> None:
    """Write a mask (Z, Y, X) as NIfTI does: (X, Y, Z), RAS."""
    picture = nibabel.Nifti1Image(mask.astype(np.uint8).transpose(2, 1, 0), to_ras)
    picture.header.set_xyzt_units("mm")
    nibabel.save(picture, path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
