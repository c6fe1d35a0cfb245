"""Whether a lesion of a set is there whole, told from the heads and ends of its files."""

from __future__ import annotations

import gzip
import json
import math
import struct
from pathlib import Path
from typing import Any

from calcilens.phantoms.drafts import Job, patch_id

KEYS = (
    *("id", "person", "seed", "domain", "site", "finding", "patterns", "kind", "concern"),
    *("concern_reasons", "diameter_mm", "image", "mask", "modality", "box", "key_plane"),
    *("spacing_mm", "kvp", "kernel"),
)
"""What is said of every lesion."""
FILM_KEYS = ("id", "seed", "domain", "background", "site", "person", "kinds", "image", "mask")
"""What is said of every whole film."""
SUFFIXES = {"ct": (".nii", ".nii.gz"), "radiograph": (".png", ".png")}
"""Of image and mask."""
_NIFTI_HEAD = 348
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def is_there(job: Job, number: int) -> bool:
    """Tell whether truth, image and mask of a lesion lie there, and are as long as they say."""
    name = patch_id(number)
    image, mask = (f"{name}{suffix}" for suffix in SUFFIXES[job.modality])
    try:
        line = json.loads(line_path(job, number).read_bytes())
        tell = _is_film_truth if job.whole else _is_truth
        if not tell(line, f"images/{image}", f"masks/{mask}"):
            return False
        files = [job.out / "images" / image, *([job.out / "masks" / mask] if line["mask"] else [])]
        return bool(line["id"] == name and all(map(_is_whole, files)))
    except (OSError, EOFError, ValueError, RecursionError, struct.error):
        return False


def line_path(job: Job, number: int) -> Path:
    """Return the path of the truth of one lesion."""
    return job.out / "truth" / f"{patch_id(number)}.json"


def _is_truth(line: Any, image: str, mask: str) -> bool:
    if not isinstance(line, dict) or not all(key in line for key in KEYS):
        return False
    return bool(line["image"] == image and line["mask"] == (mask if line["patterns"] else None))


def _is_film_truth(line: Any, image: str, mask: str) -> bool:
    if not isinstance(line, dict) or not all(key in line for key in FILM_KEYS):
        return False
    return bool(line["image"] == image and line["mask"] == mask)


def _is_whole(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(_NIFTI_HEAD)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 8))
        end = stream.read()
    if path.suffix == ".png":
        return head.startswith(_PNG_START) and end == _PNG_END
    if path.suffix == ".nii":
        return size == _nifti_size(head)
    with gzip.open(path) as unpacked:
        wanted = _nifti_size(unpacked.read(_NIFTI_HEAD))
    return int.from_bytes(end[-4:], "little") == wanted  # the size unpacked, RFC 1952, 2.3.1


def _nifti_size(head: bytes) -> int:
    """Return how many bytes a NIfTI-1 file has by its head (fields dim, bitpix, vox_offset)."""
    axes, *shape = struct.unpack_from("<8h", head, 40)
    bits, start = struct.unpack_from("<h", head, 72)[0], struct.unpack_from("<f", head, 108)[0]
    return int(start + math.prod(shape[:axes]) * bits // 8)
