"""Check a manifest: is every value in the vocabulary, and every image there and unchanged?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from calcilens.data_manifests import csv_form
from calcilens.data_manifests.columns import BOX_COLUMNS, SCHEMA_VERSION
from calcilens.data_manifests.faults import Fault
from calcilens.data_manifests.pixels import digest, image_kind, image_shape
from calcilens.data_manifests.rows import repeats, row_faults
from calcilens.data_manifests.schema import Manifest, box_of, plain_rows, read_unchecked
from calcilens.errors import InputError, compose

Advance = Callable[[int, int], None]


def validate_file(
    path: Path, *, root: Path | None = None, advance: Advance | None = None
) -> list[Fault]:
    """Find all faults of a manifest file; cells of a CSV that cannot be read are among them.

    Raises:
        ManifestError: The file cannot be read as a manifest at all.
    """
    unread = csv_form.parse_csv(path)[2] if path.suffix.lower() == ".csv" else []
    if unread:
        return unread
    return validate(read_unchecked(path, root=root), advance)


def validate(manifest: Manifest, advance: Advance | None = None) -> list[Fault]:
    """Find all faults of a manifest, row by row, then those of the table."""
    faults: list[Fault] = []
    rows = plain_rows(manifest.frame)
    look = lru_cache(maxsize=None)(_look_at)
    for number, row in enumerate(rows, start=1):
        wrong = row_faults(row, number)
        faults += wrong or _image_faults(manifest.root, row, number, look)
        if advance:
            advance(number, len(rows))
    return faults + list(repeats(rows)) + list(_version(manifest))


def box_fault(row: Mapping[str, Any], number: int, shape: Sequence[int | None]) -> Fault | None:
    """Say where a box leaves its image of `shape` (Z, Y, X); None is an unknown length.

    Along z it may, where the key plane says which planes are meant: a stack may be a piece of a
    longer series, and its lesion longer than the piece.
    """
    start, stop = box_of(row).tolist()
    key, planes = row["key_plane"], shape[0]
    if key is not None and planes is not None and key >= planes:
        return Fault(number, "key_plane", compose(f"at most {planes - 1}", f"{key}"))
    axes = list(zip(BOX_COLUMNS[:3], BOX_COLUMNS[3:], start, stop, shape, strict=True))
    for low_name, high_name, low, high, length in axes if key is None else axes[1:]:
        if low < 0:
            return Fault(number, low_name, compose("at least 0", f"{low}"))
        if length is not None and high > length:
            return Fault(number, high_name, compose(f"at most {length}", f"{high}"))
    return None


def mask_faults(
    root: Path, row: Mapping[str, Any], number: int, shape: Sequence[int | None]
) -> Iterator[Fault]:
    """Find what is wrong with a mask; of an image in DICOM the shape is not known here."""
    if row["mask"] is None:
        return
    path = root / row["mask"]
    if not path.exists():
        yield Fault(number, "mask", compose("a mask", "no such file or folder", fix="check --root"))
        return
    try:
        found = image_shape(path, image_kind(path))
    except (InputError, OSError) as error:
        yield Fault(number, "mask", f"cannot be read: {error}")
        return
    if None not in shape and tuple(found) != tuple(shape):
        expected = f"the shape of the image, {tuple(shape)}"
        yield Fault(number, "mask", compose(expected, f"{tuple(found)}"))


_Look = Callable[[Path, str], tuple[str | None, Sequence[int | None], str | None]]


def _image_faults(
    root: Path, row: Mapping[str, Any], number: int, look: _Look
) -> Iterator[Fault] | list[Fault]:
    found, shape, why = look(root / row["image"], row["image_kind"])
    if why is not None:
        return [Fault(number, "image", why)]
    if found != row["sha256"]:
        message = compose("the image as it was when the manifest was built", "another content")
        return [Fault(number, "sha256", f"{message}; restore the image or build again")]
    outside = box_fault(row, number, shape)
    return [*([outside] if outside else []), *mask_faults(root, row, number, shape)]


def _look_at(path: Path, kind: str) -> tuple[str | None, Sequence[int | None], str | None]:
    """Return digest and shape of an image, or why there are none."""
    if not path.exists():
        return None, (), compose("an image", "no such file or folder", fix="check --root")
    try:
        return digest(path), image_shape(path, kind), None
    except (InputError, OSError) as error:
        return None, (), f"cannot be read: {error}"


def _version(manifest: Manifest) -> Iterator[Fault]:
    version = manifest.metadata.get("schema_version")
    if version != SCHEMA_VERSION:
        yield Fault(None, None, compose(f"schema_version {SCHEMA_VERSION}", f"{version}"))
