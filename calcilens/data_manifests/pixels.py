"""The pixels behind a row, whatever the kind of its image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from calcilens.data_manifests.schema import Manifest
from calcilens.errors import ManifestError, PixelError, compose
from calcilens.imaging.images import Image, Volume

if TYPE_CHECKING:
    import pandas as pd

Stack = NDArray[np.generic]
_GREY_MODES = ("L", "I;16", "I", "F")


def load_stack(manifest: Manifest, row: Mapping[str, Any] | pd.Series) -> Stack:
    """Load the image of a row.

    CT in DICOM comes in HU and radiographs with bright dense, as everywhere in Calcilens. A NIfTI
    file comes with its scale applied and in its stored voxel order, last axis first. A PNG comes
    in grey as stored.

    Args:
        manifest: Where the images lie.
        row: A row of its frame.

    Returns:
        (Z, Y, X); Z is 1 for a radiograph and a single PNG.

    Raises:
        ManifestError: The image is missing, or the folder does not hold the series.
        PixelError: The pixels cannot be decoded.
    """
    path = manifest.root / str(row["image"])
    if not path.exists():
        where, fix = f"row {row['row_id']}", "check --root, or run `calcilens manifest validate`"
        raise ManifestError(compose("an image", "no such file or folder", where=where, fix=fix))
    series = row["series_uid"] if row["image_kind"] == "dicom" else None
    return load_image(path, str(row["image_kind"]), series)


def load_image(path: Path, kind: str, series_uid: str | None = None) -> Stack:
    """Load an image (Z, Y, X) by its kind; `series_uid` chooses within a DICOM folder."""
    if kind == "dicom":
        return stack_of(read_series(path, series_uid))
    return _READERS[kind](path)


def holds_hu(row: Mapping[str, Any] | pd.Series) -> bool:
    """Tell whether the pixels of a row's image are HU: of CT in PNG they no longer are."""
    return row["modality"] == "CT" and row["image_kind"] in ("dicom", "nifti")


def load_mask(manifest: Manifest, row: Mapping[str, Any] | pd.Series) -> Stack | None:
    """Load where a row's image holds mineral: (Z, Y, X) bool, None where that is not known.

    Raises:
        ManifestError: The mask is missing or of another kind.
        PixelError: It cannot be decoded.
    """
    if row["mask"] is None:
        return None
    path = manifest.root / str(row["mask"])
    if not path.exists():
        where = f"row {row['row_id']}"
        raise ManifestError(compose("a mask", "no such file or folder", where=where))
    marked: Stack = load_image(path, image_kind(path)) != 0
    return marked


def image_kind(path: Path) -> str:
    """Tell the kind of an image from its name, and of a folder from what lies in it."""
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return "nifti"
    if path.is_dir():
        return "png_stack" if next(path.glob("*.png"), None) else "dicom"
    return "png" if path.suffix.lower() == ".png" else "dicom"


def image_shape(path: Path, kind: str) -> tuple[int | None, int | None, int | None]:
    """Return (Z, Y, X) from the image's head alone; None where that does not tell.

    Raises:
        PixelError: The head cannot be read.
    """
    if kind == "dicom":
        return None, None, None
    if kind == "nifti":
        z, y, x = _read_nifti(path).shape
        return z, y, x
    files = plane_files(path) if kind == "png_stack" else [path]
    if not files:
        raise PixelError(compose("PNG planes", "none", where=path.name))
    try:
        with Picture.open(files[0]) as picture:
            return len(files), picture.height, picture.width
    except (OSError, SyntaxError) as error:
        raise PixelError(
            compose("a readable PNG", type(error).__name__, where=files[0].name)
        ) from error


def nifti_spacing(path: Path) -> tuple[float, float, float]:
    """Return the voxel spacing of a NIfTI file along (z, y, x), mm."""
    import nibabel

    zooms = [float(zoom) for zoom in nibabel.load(path).header.get_zooms()[:3]]
    x, y, z = [*zooms, 1.0][:3]
    return z, y, x


def plane_files(folder: Path) -> list[Path]:
    """Return the PNG planes of a folder in the order of the number that ends their names."""
    return sorted(folder.glob("*.png"), key=lambda file: (_number(file.stem), file.name))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its files' digests and names."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    files = sorted(f for f in path.rglob("*") if f.is_file())
    lines = "".join(f"{digest(f)}  {f.relative_to(path).as_posix()}\n" for f in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def read_png(path: Path) -> Stack:
    """Read a PNG as grey (Y, X): uint8, or more where it stores more.

    Raises:
        PixelError: The file is not a picture, or is cut off.
    """
    try:
        with Picture.open(path) as picture:
            return np.array(picture if picture.mode in _GREY_MODES else picture.convert("L"))
    except (OSError, SyntaxError) as error:
        raise PixelError(
            compose("a readable PNG", type(error).__name__, where=path.name)
        ) from error


def _number(stem: str) -> int:
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else -1


def _read_single(path: Path) -> Stack:
    return read_png(path)[None]


def _read_stack(path: Path) -> Stack:
    planes = [read_png(file) for file in plane_files(path)]
    if not planes or len({plane.shape for plane in planes}) > 1:
        found = f"{len(planes)} planes of {len({p.shape for p in planes})} sizes"
        raise PixelError(compose("PNG planes of one size", found, where=path.name))
    return np.stack(planes)


@lru_cache(maxsize=2)
def _read_nifti(path: Path) -> Stack:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.load(path)
        array = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ImageFileError) as error:
        raise PixelError(compose("a NIfTI file", type(error).__name__, where=path.name)) from error
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise PixelError(compose("two or three axes", f"{array.ndim}", where=path.name))
    return _read_only(array.T)


@lru_cache(maxsize=2)
def read_series(path: Path, series_uid: str | None) -> Image:
    """Read one series of a DICOM file or folder; without a UID, the only one in it.

    Raises:
        ManifestError: It holds no such image, or several.
    """
    from calcilens.imaging.study import read_all

    studies, left_out = read_all(path, workers=0)  # a data loader's worker may start no processes
    images = [image for study in studies for image in study.images]
    wanted = [i for i in images if series_uid is None or i.series_uid == series_uid]
    if len(wanted) != 1:
        expected = f"one image of series {series_uid}" if series_uid else "one image"
        untold = [skipped for study in studies for skipped in study.skipped]
        reasons = [skipped.reason for skipped in (*left_out, *untold)]
        found = f"{len(wanted)} ({reasons[0]})" if reasons else f"{len(wanted)}"
        fix = None if series_uid or len(wanted) < 2 else "fill the column series_uid"
        raise ManifestError(compose(expected, found, where=path.name, fix=fix))
    return wanted[0]


def stack_of(image: Image) -> Stack:
    """Return the pixels of an image as a stack (Z, Y, X) that cannot be written to."""
    return _read_only(image.hu if isinstance(image, Volume) else image.pixels[None])


def _read_only(array: Stack) -> Stack:
    """Return a view that cannot be written to: the cache hands it out more than once."""
    view = array.view()
    view.flags.writeable = False
    return view


_READERS: dict[str, Callable[[Path], Stack]] = {
    "nifti": _read_nifti,
    "png": _read_single,
    "png_stack": _read_stack,
}
