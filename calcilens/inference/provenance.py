"""run.json: what a report came from, and whether it must be made again. No patient data."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from calcilens import __version__
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Image
from calcilens.imaging.study import Study
from calcilens.inference.output import folder_name
from calcilens.inference.pipeline import Bones, Models, Placed
from calcilens.inference.prior import same_patient

_LIBRARIES = ("numpy", "torch", "monai", "pydicom", "scipy", "connected-components-3d", "simpleitk")


def facts(
    study: Study,
    models: Models,
    given: Sequence[Placed] | None,
    formats: tuple[str, ...],
    bones: Bones,
    priors: Sequence[Study] | None = None,
) -> dict[str, Any]:
    """Return the content of run.json without timings."""
    masks = {i.series_uid: bones[i.series_uid] for i in study.images if i.series_uid in bones}
    settings = {
        "formats": list(formats),
        "lesions": "searched" if given is None else "given",
        "bones_given": {uid: hashlib.sha256(m.tobytes()).hexdigest() for uid, m in masks.items()},
        "priors": None if priors is None else [[s.study_uid, s.study_date] for s in priors],
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
    models: Models,
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


def done(out: Path, study_uid: str, wanted: str) -> tuple[int, int] | None:
    """Return how many lesions and left-out things the report with that fingerprint has.

    None where the folder of the study holds no such report, or not all of its files.
    """
    folder = out / folder_name(study_uid)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(run, dict) or run.get("fingerprint") != wanted:
        return None
    try:  # the fingerprint holds the formats: those of the report are those wanted
        paths = [folder / f"report.{name}" for name in run["settings"]["formats"]]
        lesions, skipped = int(run["lesions"]), int(run["skipped"])
    except (KeyError, TypeError, ValueError):
        return None
    return (lesions, skipped) if all(path.is_file() for path in paths) else None


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
