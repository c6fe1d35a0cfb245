"""One report.json: places of lesions apart from what a model says of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from calcilens.errors import CaseError, NotThere, ReviewError, compose
from calcilens.guidance.strict_json import loads
from calcilens.inference.report_schema import SALIENCY, fault_of
from calcilens.review import uncertainty
from calcilens.review.grids import Box, mask_box
from calcilens.vocabulary import ConcernLevel

MOST_BYTES = 64 * 2**20
_UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")
"""PS3.5 9.1; leading zeros are met and do no harm."""
_LEVELS = tuple(
    level.value
    for level in (
        ConcernLevel.UNKNOWN,
        ConcernLevel.LOW,
        ConcernLevel.INTERMEDIATE,
        ConcernLevel.HIGH,
    )
)
_ANSWERS = ("finding", "pattern", "concern", "out_of_domain", "change", "saliency")


@dataclass(frozen=True)
class ImageName:
    """An image of a report. Its number is its place in the report, from 0.

    Args:
        series_uid: Of a CT, its only image.
        sop_uid: Of a film; None for a CT.
        shape: (Z, Y, X) of a CT; None for a film: the report does not state it for each.
    """

    series_uid: str
    sop_uid: str | None
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Place:
    """A lesion without anything that a model says of it.

    Args:
        number: From 1, in the order of images and planes, which tells nothing of concern.
        image: Number of its image.
        box: First voxel and the one after the last, (z, y, x).
        key_plane: Plane that shows most of it.
        measurements: As in the report: of the pixels, not of the model.
        mask: File of its mask, or None; `saliency` likewise.
    """

    id: str
    number: int
    image: int
    series_uid: str
    sop_uids: tuple[str, ...]
    box: Box
    key_plane: int
    measurements: Mapping[str, Any]
    mask: Path | None
    saliency: Path | None


@dataclass(frozen=True)
class Summary:
    """What the list of studies shows of a report.

    Args:
        lesions: Their ids, in the report's order.
        concern: The highest level of a lesion; None without a lesion.
        abstained: Whether the model gave no verdict on some lesion.
        comparison: Whether it was compared with an earlier study.
    """

    study_uid: str
    study_date: str | None
    modalities: tuple[str, ...]
    sha256: str
    folder: Path
    lesions: tuple[str, ...]
    concern: str | None
    uncertainty: float | None
    abstained: bool
    comparison: bool


@dataclass(frozen=True)
class Report:
    """A report as it was read.

    Args:
        content: Of report.json.
        raw: Its bytes.
        folder: That it lies in.
    """

    content: Mapping[str, Any]
    raw: bytes
    sha256: str
    folder: Path
    images: tuple[ImageName, ...]
    lesions: tuple[Place, ...]

    @property
    def study_uid(self) -> str:
        """UID of the study."""
        return str(self.content["study"]["study_uid"])

    @property
    def prior_study_uid(self) -> str | None:
        """UID of the study that it was compared with, or None."""
        comparison = self.content["comparison"]
        uid = comparison["prior_study_uid"] if comparison else None
        return None if uid is None else str(uid)

    def place(self, lesion: str) -> Place:
        """Return where a lesion lies.

        Raises:
            NotThere: There is no such lesion.
        """
        for place in self.lesions:
            if place.id == lesion:
                return place
        raise NotThere(compose("a lesion of this report", "none of this id"))

    def model(self, lesion: str) -> dict[str, Any]:
        """Return what the model says of a lesion: hidden from a blinded reader.

        Raises:
            NotThere: There is no such lesion.
        """
        wanted = self.place(lesion).id
        found: Mapping[str, Any] = next(x for x in self.content["lesions"] if x["id"] == wanted)
        return {"name": found["model"], **{key: found[key] for key in _ANSWERS}}


def parse(raw: bytes, folder: Path) -> Report:
    """Read a report.json.

    Raises:
        ReviewError: It is none, does not fit its schema, or contradicts itself or its masks.
    """
    where = f"{folder.name}/report.json"
    content = _checked(raw, where)
    _check_uids(content, where)
    images = tuple(_images(content))
    faults = Counter(lesion["id"] for lesion in content["lesions"])
    if faults and max(faults.values()) > 1:
        raise ReviewError(compose("every lesion once", "one of them twice", where=where))
    lesions = _in_space([_place(lesion, images, folder) for lesion in content["lesions"]])
    return Report(content, raw, sha256(raw).hexdigest(), folder, images, lesions)


def _check_uids(content: Mapping[str, Any], where: str) -> None:
    """Refuse names of images that are none: files, folders and addresses are named by them.

    Those of a film stand in `films` and in its lesions.
    """
    comparison = content["comparison"] or {}
    named = [content["study"]["study_uid"], comparison.get("prior_study_uid")]
    used = [series for series in content["series"] if series["used"]]
    parts = (*used, *content["films"], *content["lesions"])
    named += [part[key] for part in parts for key in ("series_uid", "sop_uid") if key in part]
    named += [uid for lesion in content["lesions"] for uid in lesion["sop_uids"]]
    if not all(uid is None or _UID.fullmatch(uid) for uid in named):
        raise ReviewError(compose("UIDs of DICOM", "other names", where=where))


def _in_space(places: list[Place]) -> tuple[Place, ...]:
    """Return places in the order of the images: that of the report tells how much they concern."""
    found = sorted(places, key=lambda place: (place.image, place.key_plane, place.box))
    return tuple(replace(place, number=number) for number, place in enumerate(found, 1))


def summary(report: Report) -> Summary:
    """Return what the list of studies shows of a report."""
    study, lesions = report.content["study"], report.content["lesions"]
    levels = [lesion["concern"]["level"] for lesion in lesions]
    return Summary(
        study_uid=report.study_uid,
        study_date=study["study_date"],
        modalities=tuple(study["modalities"]),
        sha256=report.sha256,
        folder=report.folder,
        lesions=tuple(place.id for place in report.lesions),
        concern=max(levels, key=_LEVELS.index, default=None),
        uncertainty=uncertainty.of_study(lesions),
        abstained=any(lesion["finding"]["abstained"] for lesion in lesions),
        comparison=report.prior_study_uid is not None,
    )


def _checked(raw: bytes, where: str) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise ReviewError(compose("a report of at most 64 MiB", "a larger one", where=where))
    try:
        content = loads(raw.decode())
    except (ValueError, CaseError, RecursionError) as error:
        raise ReviewError(compose("JSON", "text that is none", where=where)) from error
    fault = fault_of(content)
    if fault is not None:
        at = fault.json_path[:80]
        found = f"another content at {at}"
        fix = "run `calcilens predict` again with this version"
        raise ReviewError(compose("a report of this version", found, where=where, fix=fix))
    return dict(content)


def _images(content: Mapping[str, Any]) -> list[ImageName]:
    """Return the images in the order in which a study is read."""
    found: list[ImageName] = []
    for series in (s for s in content["series"] if s["used"]):
        uid = series["series_uid"]
        films = [film["sop_uid"] for film in content["films"] if film["series_uid"] == uid]
        shape = None if series["shape"] is None else tuple(series["shape"])
        found += [ImageName(uid, sop, None) for sop in films] or [ImageName(uid, None, shape)]
    return found


def _place(lesion: Mapping[str, Any], images: tuple[ImageName, ...], folder: Path) -> Place:
    uid, sops = lesion["series_uid"], tuple(lesion["sop_uids"])
    where = f"{folder.name}/report.json, lesion {lesion['id']}"
    fits = [n for n, i in enumerate(images) if i.series_uid == uid and i.sop_uid in (None, sops[0])]
    if len(fits) != 1:
        raise ReviewError(compose("one image of the lesion", f"{len(fits)}", where=where))
    mask = _file(folder / "lesions" / lesion["id"] / "mask.nii.gz")
    if "box" in lesion and "key_plane" in lesion:
        (z0, y0, x0), (z1, y1, x1) = lesion["box"]
        box, key = ((z0, y0, x0), (z1, y1, x1)), int(lesion["key_plane"])
    elif mask is not None:  # a report of before `box` was there
        box, key = mask_box(mask)
    else:
        found = "neither `box` nor mask.nii.gz"
        raise ReviewError(compose("the lesion's place", found, where=where))
    _check_box(box, key, images[fits[0]].shape, where)
    return Place(
        id=lesion["id"],
        number=0,
        image=fits[0],
        series_uid=uid,
        sop_uids=sops,
        box=box,
        key_plane=key,
        measurements=lesion["measurements"],
        mask=mask,
        saliency=_file(folder / "lesions" / lesion["id"] / SALIENCY),
    )


def _check_box(box: Box, key: int, shape: tuple[int, ...] | None, where: str) -> None:
    inside = all(a < b for a, b in zip(*box, strict=True)) and box[0][0] <= key < box[1][0]
    if shape is not None:
        inside = inside and all(b <= n for b, n in zip(box[1], shape, strict=False))
    if not inside:
        raise ReviewError(compose("a box in its image", f"{box}, plane {key}", where=where))


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None
