"""How places in a study lead to places in the one that it was compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_REGISTERED = "rigid part of the registration"
_SAME_FRAME = "same frame of reference"


def links(
    compared: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    prior: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return which image leads to which of the earlier study, and how.

    Args:
        compared: `comparison.series` of the report.
        images: Of the current study, in the order of the report.
        prior: Of the earlier study.

    Returns:
        `image` and `prior_image`: their numbers; `matrix`: rows from (x, y, z, 1) of the current
        study to the earlier one, LPS mm, or None; `how` it was found, or why it is not known.
    """
    found = []
    for entry in compared:
        n = _number(entry["series_uid"], images)
        m = _number(entry["prior_series_uid"], prior)
        if n is not None and m is not None:
            matrix, how = _matrix(entry, images[n], prior[m])
            found.append({"image": n, "prior_image": m, "matrix": matrix, "how": how})
    return found


def _number(series_uid: str, images: Sequence[Mapping[str, Any]]) -> int | None:
    places = [n for n, image in enumerate(images) if image["series_uid"] == series_uid]
    return places[0] if len(places) == 1 else None


def _matrix(
    entry: Mapping[str, Any], image: Mapping[str, Any], prior: Mapping[str, Any]
) -> tuple[list[list[float]] | None, str]:
    if entry.get("to_prior") is not None:
        return entry["to_prior"], _REGISTERED
    frames = image["frame_of_reference_uid"], prior["frame_of_reference_uid"]
    if frames[0] is not None and frames[0] == frames[1]:
        return np.eye(4).tolist(), _SAME_FRAME
    return None, entry["why_not"] or "the report was made before registrations were kept"
