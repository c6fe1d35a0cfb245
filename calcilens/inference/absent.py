"""Places found by a search which the model says are not calcified: told, but no lesions."""

from __future__ import annotations

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.records import Skipped
from calcilens.inference.lesions import Answer

ABSENT_BELOW = 0.1
"""A calcification that is left out costs more than a false one that is reported: so the model has
to be sure, beyond what it needs for a verdict."""
_SURE = "the model is sure that nothing is calcified there"


def is_absent(said: Answer) -> bool:
    """Say whether a model that is in its domain and decided sees no calcification.

    A model that cannot tell its domain decides nothing here.
    """
    finding, strange = said.finding, said.out_of_domain.flag
    if finding.abstained or finding.probability is None or strange is not False:
        return False
    return finding.probability < ABSENT_BELOW


def left_out(image: Image, candidate: Candidate, said: Answer) -> Skipped:
    """Say which place was left out, and why."""
    place = _place(image, candidate)
    reason = (
        f"the place at {place} is no lesion: {_SURE} "
        f"(probability {said.finding.probability:.3f}); report it with --roi"
    )
    return Skipped(image.series_uid, reason)


def is_left_out(skipped: Skipped) -> bool:
    """Say whether what was left out is such a place."""
    return _SURE in skipped.reason


def _place(image: Image, candidate: Candidate) -> str:
    middle = candidate.box.mean(0) - 0.5
    if isinstance(image, Radiograph):
        own = image.planes[0].number
        film = "" if own is None else f" (number {own} in a viewer)"
        return f"x {middle[2]:.0f}, y {middle[1]:.0f} pixels{film}"
    x, y, z = image.affine.to_mm(middle)
    return f"x {x:.0f}, y {y:.0f}, z {z:.0f} mm (LPS)"
