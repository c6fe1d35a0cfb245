"""Real images to put simulated lesions into: CT series and radiographs of a user's own folder.

A person is the salted hash of a patient's ID, and where there is none of a study's UID: the same in
every set and in every manifest that is made with that salt, so that no split puts it on both sides.
Nothing else that names a patient is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from calcilens.errors import CalcilensError, InputError, UsageError, compose
from calcilens.imaging.headers import Header, read_headers, read_patient
from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.imaging.scan import opened
from calcilens.imaging.selection import RADIOGRAPHS
from calcilens.imaging.study import read_studies
from calcilens.imaging.terms import body_part
from calcilens.patients import default_salt_path, patient_key, read_salt
from calcilens.phantoms.anatomy import Rng, draw_segment
from calcilens.phantoms.drafts import LESIONS_A_PERSON, Draft, Job
from calcilens.phantoms.patterns import draw_lesion, kind_of, sites_of
from calcilens.phantoms.scene import Scene

ANYWHERE = (
    *("diffuse", "central", "laminated", "popcorn", "stippled", "eccentric"),
    *("peripheral_zonal", "phlebolith", "lobulated", "rings_and_arcs"),
)
"""Patterns that need no fascia, tendon, artery or joint surface around them."""
ABSENT_SHARE = 0.3
Kind = TypeVar("Kind", Volume, Radiograph)
_LARGEST_MM = 60.0
_DIGITS = 16


@dataclass(frozen=True)
class Background:
    """A CT series or a radiograph.

    Args:
        person: Key of its patient.
        sop_uids: Of its images.
        files: Where it lies.
        kvp: Tube voltage, or None where it is not said.
        kernel: Name of the kernel, or None.
        site: Body part, in small letters, or unknown.
    """

    person: str
    sop_uids: tuple[str, ...]
    files: tuple[Path, ...]
    kvp: float | None
    kernel: str | None
    site: str


@lru_cache(maxsize=4)
def list_backgrounds(folder: Path, modality: str) -> tuple[Background, ...]:
    """List the series (CT) or the images (radiographs) of a folder, in the order of UIDs.

    Raises:
        UsageError: There is no such folder, or it holds none.
    """
    if not folder.is_dir():
        raise UsageError(compose("a folder", "none of that name", where="--backgrounds"))
    with opened(folder) as found:
        headers, _ = read_headers(found.files)
        return _grouped(headers, modality, read_salt(default_salt_path()))


def _grouped(headers: Sequence[Header], modality: str, salt: bytes) -> tuple[Background, ...]:
    kinds = ("CT",) if modality == "ct" else RADIOGRAPHS
    groups: dict[tuple[str, ...], list[Header]] = {}
    for header in headers:
        if header.modality in kinds and header.pixels is not None:
            one = () if modality == "ct" else (header.sop_uid,)
            groups.setdefault((header.study_uid, header.series_uid, *one), []).append(header)
    if not groups:
        raise UsageError(compose(f"DICOM of {', '.join(kinds)}", "none", where="--backgrounds"))
    return tuple(_background(groups[key], salt) for key in sorted(groups))


def _background(headers: Sequence[Header], salt: bytes) -> Background:
    tags = headers[0].tags
    kvp = tags.get("KVP")
    kernel = tags.get("ConvolutionKernel")
    site = body_part(tags)
    return Background(
        patient_key(read_patient(headers[0]) or headers[0].study_uid, salt),
        tuple(header.sop_uid for header in headers),
        tuple(header.path for header in headers),
        float(kvp) if kvp not in (None, "") else None,
        str(kernel if isinstance(kernel, str) else kernel[0]) if kernel else None,
        site.lower() if site else "unknown",
    )


def fingerprint(backgrounds: Sequence[Background]) -> str:
    """Return a hash of which images they are, whatever their folder and their order."""
    uids = sorted(uid for background in backgrounds for uid in background.sop_uids)
    return hashlib.sha256("\n".join(uids).encode()).hexdigest()[:_DIGITS]


def choose_background(
    folder: Path, job: Job, number: int, kind: type[Kind]
) -> tuple[Background, Kind]:
    """Return the real image of a patch; one that cannot be read gives way to the next.

    Raises:
        InputError: None can be read.
    """
    listed = list_backgrounds(folder, job.modality)
    for step in range(len(listed)):
        background = listed[(number // LESIONS_A_PERSON + step) % len(listed)]
        image = _read(background)
        if isinstance(image, kind):
            return background, image
    raise InputError(compose("one image that can be read", "none", where="--backgrounds"))


@lru_cache(maxsize=2)
def _read(background: Background) -> Image | None:
    try:
        studies = read_studies(background.files, workers=0)
    except CalcilensError:
        return None
    images = [image for study in studies for image in study.images]
    return max(images, key=lambda image: len(image.planes), default=None)


def draw_guest(rng: Rng, room_mm: float, absent: Sequence[str]) -> Draft:
    """Draw a lesion, or what is none, in a simulated segment, to be moved into a real image.

    Args:
        rng: Draws it.
        room_mm: Radius of the largest ball of soft tissue there.
        absent: Kinds that are no calcification, to draw from.
    """
    largest = min(2.2 * room_mm, _LARGEST_MM)
    fitting = [name for name in ANYWHERE if kind_of(name).size_mm[0] <= largest]
    if rng.random() < ABSENT_SHARE or not fitting:
        names = (str(rng.choice(absent)),)
    else:
        names = (str(rng.choice(fitting)),)
    low, high = kind_of(names[0]).size_mm
    size = float(np.exp(rng.uniform(np.log(low), np.log(max(min(high, largest), low * 1.01)))))
    sites = [site for site in sites_of(names) if site != "thorax"]
    segment = draw_segment(rng, str(rng.choice(sites)))
    return Draft(Scene(segment, (draw_lesion(rng, segment, names, size),)), names, 0)
