"""Small data sets with known content, made on the spot."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from calcilens.data_manifests.pixels import digest
from calcilens.data_manifests.schema import Manifest, new_manifest

LABELS = {
    "patient_id": "P-1",
    "nodule": "nodule-0",
    "series_uid": "",
    "calc_votes": "6|3|3|4",
    "malignancy_votes": "1|2|2|5",
    "key_slice": "slice-10.png",
    "diameter_mm": "7.5",
    "slice_thickness": "2.5",
    "pixel_spacing": "0.7",
    "contrast": "True",
}


def tissue(seed: int, size: int = 128) -> np.ndarray:
    """Return a texture (size, size) uint8 with structure at all scales, another for each seed."""
    noise = np.random.default_rng(seed).standard_normal((3, size, size))
    layers = [ndimage.gaussian_filter(n, s) * s for n, s in zip(noise, (1, 4, 12), strict=True)]
    mixed = np.sum(layers, axis=0)
    grey: np.ndarray = np.interp(mixed, (mixed.min(), mixed.max()), (0, 255)).astype(np.uint8)
    return grey


def save_png(array: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def lidc_nodule(
    root: Path,
    patient: str = "P-1",
    nodule: str = "nodule-0",
    *,
    slices: Sequence[int] = (9, 10, 11),
    boxes: Sequence[tuple[int, int, int, int] | None] = ((40, 50, 60, 80), (42, 50, 60, 84)),
) -> Path:
    """Write a nodule in the layout of LIDC-IDRI-slices; a box None is an empty mask."""
    folder = root / patient / nodule
    for number in slices:
        name = f"slice-{number}.png"
        save_png(
            tissue(zlib.crc32(f"{patient}{nodule}{number}".encode())), folder / "images" / name
        )
        for reader, box in enumerate(boxes):
            mask = np.zeros((128, 128), np.uint8)
            if box:
                y0, x0, y1, x1 = box
                mask[y0:y1, x0:x1] = 255
            save_png(mask, folder / f"mask-{reader}" / name)
    return folder


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def row_of(image: str, root: Path, patient: int, **cells: Any) -> dict[str, Any]:
    """Return a row about the middle of a PNG."""
    box = dict(zip(("z0", "y0", "x0", "z1", "y1", "x1"), (0, 50, 50, 1, 80, 80), strict=True))
    return {
        "row_id": image,
        "image": image,
        "image_kind": "png",
        "modality": "CT",
        "patient_key": f"{patient:016x}",
        "source": "made",
        "readers": 1,
        "sha256": digest(root / image),
        **box,
        **cells,
    }


def png_manifest(
    root: Path, pictures: Mapping[str, np.ndarray], **cells: Sequence[Any]
) -> Manifest:
    """Write pictures and return a manifest of them, each of a patient of its own."""
    for name, picture in pictures.items():
        save_png(picture, root / name)
    columns = [
        dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)
    ]
    extra = columns or [{}] * len(pictures)
    rows = [
        row_of(name, root, number, **more)
        for number, (name, more) in enumerate(zip(pictures, extra, strict=True))
    ]
    return new_manifest(rows, root)
