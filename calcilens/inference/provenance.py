"""run.json: what a report came from, and whether it must be made again. No patient data."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np

from calcilens import __version__
from calcilens.guidance.rulebook import version as version_of_rules
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.study import Study
from calcilens.inference.prior import same_patient

if TYPE_CHECKING:  # they bring torch, which is not needed to see that nothing has to be done
    from calcilens.inference.batch import Wishes
    from calcilens.inference.pipeline import Models, Placed
    from calcilens.inference.predictor import Described
    from calcilens.inference.report import StudyReport

_UID = re.compile(r"[0-9.]{1,64}")
_LIBRARIES = ("numpy", "torch", "monai", "pydicom", "scipy", "connected-components-3d", "simpleitk")


class Source(Protocol):
    """The models of a run, loaded or not, each None where there is none."""

    @property
    def ct(self) -> Described | None:
        """The classifier for CT."""

    @property
    def radiograph(self) -> Described | None:
        """The classifier for radiographs."""

    @property
    def finder(self) -> Described | None:
        """What searches radiographs."""

    @property
    def loaded(self) -> Models:
        """The models themselves."""

    def used(self) -> Sequence[Described]:
        """Return those that there are."""

    def narrowed(self, images: Sequence[Image], *, search: bool) -> Self:
        """Return those that images need, as `needed` says."""


def needed(images: Iterable[Image], *, search: bool) -> dict[str, bool]:
    """Say which models images need; `search` is whether lesions are searched for."""
    flat = {isinstance(image, Radiograph) for image in images}
    film = True in flat
    return {"ct": False in flat, "radiograph": film, "finder": film and search}


def without(wanted: Mapping[str, bool]) -> dict[str, Any]:
    """Return what takes the place of the models that are not needed."""
    return {name: None for name, is_wanted in wanted.items() if not is_wanted}


class Kept(NamedTuple):
    """What run.json keeps of a report, so that it can be told again.

    Args:
        lesions: How many.
        skipped: How many files, series and places were left out.
        compared: Whether it was compared with a prior study; None where none was given.
        notes: What is to be said of the comparison, one line each.
    """

    lesions: int
    skipped: int
    compared: bool | None
    notes: tuple[str, ...]


def kept(report: StudyReport) -> Kept:
    """Return what run.json keeps of a report."""
    told = report.comparison
    compared, notes = (None, ()) if told is None else (told.done, told.notes)
    return Kept(len(report.lesions), len(report.skipped), compared, notes)


def folder_name(study_uid: str) -> str:
    """Return the name of a study's folder: its UID, or a hash where that is no UID."""
    if _UID.fullmatch(study_uid) and study_uid.strip("."):
        return study_uid
    return "study-" + hashlib.sha256(study_uid.encode()).hexdigest()[:16]


def facts(
    study: Study,
    models: Source,
    given: Sequence[Placed] | None,
    wishes: Wishes,
) -> dict[str, Any]:
    """Return the content of run.json without timings."""
    bones, priors = wishes.bones, wishes.priors
    masks = {i.series_uid: bones[i.series_uid] for i in study.images if i.series_uid in bones}
    case = None if wishes.case is None else json.dumps(wishes.case, sort_keys=True)
    settings = {
        "formats": list(wishes.formats),
        "lesions": "searched" if given is None else "given",
        "bones_given": {uid: hashlib.sha256(m.tobytes()).hexdigest() for uid, m in masks.items()},
        "priors": None if priors is None else [[s.study_uid, s.study_date] for s in priors],
        "case": None if case is None else hashlib.sha256(case.encode()).hexdigest(),
        "rules": version_of_rules(),
    }
    return {
        "calcilens": __version__,
        "study_uid": study.study_uid,
        "settings": settings,
        "models": {k: _model(getattr(models, k)) for k in ("ct", "radiograph", "finder")},
        "fingerprint": fingerprint(study, models, given, settings, priors or ()),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def fingerprint(
    study: Study,
    models: Source,
    given: Sequence[Placed] | None,
    settings: dict[str, Any],
    priors: Sequence[Study] = (),
) -> str:
    """Return a hash of everything that the report depends on."""
    digest = hashlib.sha256()
    parts = [
        __version__,
        study.study_uid,
        study.study_date,
        [str(s) for s in (*study.series, *study.skipped)],
        [[_model(m), dict(m.card)] for m in models.used()],
        settings,
        [same_patient(prior, study) for prior in priors],
    ]
    digest.update(json.dumps(parts).encode())
    for image in (image for one in (study, *priors) for image in one.images):
        _add_image(digest, image)
    for image, candidate in given or ():
        digest.update(f"{image.series_uid}{candidate.id}{candidate.why}".encode())
        digest.update(b"" if candidate.mask is None else candidate.mask.tobytes())
    return digest.hexdigest()


def done(out: Path, study_uid: str, wanted: str) -> Kept | None:
    """Return what is known of the report with that fingerprint.

    None where the folder of the study holds no such report, or not all of its files.
    """
    folder = out / folder_name(study_uid)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(run, dict) or run.get("fingerprint") != wanted:
        return None
    try:
        if not all((folder / name).is_file() for name in run["files"]):
            return None
        return Kept(run["lesions"], run["skipped"], run["compared"], tuple(run["notes"]))
    except (KeyError, TypeError):  # of a version that kept less
        return None


def _add_image(digest: Any, image: Image) -> None:
    """Add all that is known of an image: pixels, place, tube voltage and the rest."""
    for field in fields(image):
        value = getattr(image, field.name)
        value = value.matrix if isinstance(value, Affine) else value
        if isinstance(value, np.ndarray):
            digest.update(f"{field.name} {value.dtype} {value.shape}".encode())
            digest.update(np.ascontiguousarray(value))
        else:
            digest.update(f"{field.name} {value!r}".encode())


def _model(model: Any) -> dict[str, str] | None:
    if model is None:
        return None
    card = model.card
    return {
        "name": str(card.get("name", "unnamed")),
        "version": str(card.get("version", "unknown")),
        "sha256": model.sha256,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
