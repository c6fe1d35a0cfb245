"""What the page says of one lesion."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from calcilens.imaging.study import Study
from calcilens.inference.change import Change
from calcilens.inference.export.figures import before, figures
from calcilens.inference.export.still import still
from calcilens.inference.export.words import (
    HOLLOW,
    WORSE,
    changed,
    headline,
    in_viewer,
    not_calcified,
    percent,
    sentence,
    skin_change,
    where,
)
from calcilens.inference.lesions import Lesion, Patterns
from calcilens.vocabulary import ConcernLevel, pattern

_SHOWN_PATTERNS = 5
_ALONE = "Concern is judged from this study alone: it does not know of the change."


def article(lesion: Lesion, number: int, study: Study) -> dict[str, Any]:
    """Return what the page's template shows of a lesion; `number` is its place in the list."""
    said = lesion.answer
    return {
        "id": lesion.id,
        "where": where(lesion, study),
        "in_viewer": in_viewer(lesion, study),
        "still": still(lesion, number),
        "level": lesion.level.value,
        "level_text": "no answer" if lesion.level is ConcernLevel.UNKNOWN else lesion.level.value,
        "headline": headline(lesion),
        "size": _size(lesion),
        "judged": said.finding.probability is not None,
        "not_calcified": not_calcified(lesion),
        "abstained": sentence(said.finding.why) if said.finding.abstained else None,
        "finding": said.finding.probability,
        "concern": said.concern.probability,
        "reasons": _reasons(lesion),
        **_patterns(lesion),
        "measurements": figures(lesion),
        "profile": _profile(lesion.measured.radial_profile),
        "saliency": _saliency(lesion),
        "origin": sentence(lesion.candidate.why).rstrip("."),
        "strange": _strange(lesion),
        "flagged": bool(said.out_of_domain.flag),
        "unsure": "unsure" if said.finding.abstained else "",
        "pattern_unsure": "unsure" if said.pattern.abstained else "",
        **_change(lesion),
    }


def _change(lesion: Lesion) -> dict[str, Any]:
    change = lesion.change
    return {
        "change": change,
        "changed": changed(lesion),
        "worse": change is not None and change.level in WORSE,
        "before": before(lesion),
        "before_how": None if change is None else _before_how(change),
        "skin_change": None if change is None else skin_change(change),
    }


def _before_how(change: Change) -> str:
    """Say what the sizes of both scans are, beside the ratio."""
    count = len(change.prior_lesions)
    parts = "" if count < 2 else f" Then: {count} lesions, the volumes together, the largest one."
    return f"Each scan measured on its own; the ratio above allows for how they differ.{parts}"


def _reasons(lesion: Lesion) -> list[str]:
    """Return why the concern is what it is; not again why there is no answer at all."""
    said, change = lesion.answer, lesion.change
    known = f"no answer: {said.finding.why}"
    told = [HOLLOW] if lesion.level != said.concern.level else said.concern.model_reasons
    reasons = [sentence(r) for r in told if r != known]
    grown = change is not None and change.level in WORSE and said.concern.probability is not None
    return [*reasons, _ALONE] if grown else reasons


def _size(lesion: Lesion) -> str:
    diameter, peak = lesion.measured.max_diameter_mm, lesion.measured.max_hu
    if diameter is None:
        (x0, y0), (x1, y1) = lesion.box_px or [[0, 0], [0, 0]]
        return f"{x1 - x0} × {y1 - y0} pixels"
    then = None if lesion.change is None else lesion.change.prior_max_diameter_mm
    sizes = " → ".join(f"{mm:.1f}" for mm in (then, diameter) if mm is not None)
    return f"{sizes} mm" + ("" if peak is None else f" · up to {peak:.0f} HU")


def _patterns(lesion: Lesion) -> dict[str, Any]:
    said = lesion.answer.pattern
    ranked = sorted(said.probabilities.items(), key=lambda kv: -kv[1])
    shown, rest = ranked[:_SHOWN_PATTERNS], ranked[_SHOWN_PATTERNS:]
    others = sum(p for _, p in rest)
    return {
        "pattern_why": _why_no_pattern(lesion),
        "pattern_set": _set(said),
        "patterns": [
            {"label": pattern(k).label, "look": pattern(k).look, "value": p} for k, p in shown
        ],
        "pattern_rest": f"{len(rest)} others together {percent(others)}." if rest else None,
    }


def _why_no_pattern(lesion: Lesion) -> str | None:
    said, finding = lesion.answer.pattern, lesion.answer.finding
    if not said.abstained:
        return None
    if finding.abstained and said.why == finding.why:
        return "No answer, for the same reason."
    return sentence(f"no answer: {said.why or 'none'}")


def _set(said: Patterns) -> str | None:
    """Say which patterns cannot be ruled out, where that is calibrated and the model answers."""
    if said.abstained or said.coverage is None or not said.probabilities:
        return None
    named = ", ".join(pattern(key).label for key in said.set) or "none"
    return (
        f"Not ruled out: {named}. Of held-out lesions that truly showed a pattern, "
        f"{percent(said.coverage)} had it in their set."
    )


def _profile(values: list[float] | None) -> Markup | None:
    """Draw the mean density by depth; nothing for fewer than three shells."""
    if values is None or len(values) < 3:
        return None
    low, span = min(values), max(max(values) - min(values), 1.0)
    points = [
        (40 + 340 * i / (len(values) - 1), 66 - 54 * (v - low) / span) for i, v in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"></circle>' for x, y in points)
    ends = f'<text x="0" y="16">{max(values):.0f}</text><text x="0" y="68">{low:.0f}</text>'
    feet = f'<text x="40" y="86">rim</text><text x="340" y="86">{len(values) - 1} mm in</text>'
    svg = '<svg class="profile" viewBox="0 0 400 90" role="img" aria-label="Mean HU by depth">'
    return Markup(  # noqa: S704 numbers only
        f'{svg}<polyline points="{line}"></polyline>{dots}{ends}{feet}</svg>'
    )


def _saliency(lesion: Lesion) -> str:
    seen = lesion.saliency
    if seen is None:
        return "None: the model gave no answer."
    if not seen.shown:
        return sentence(f"not shown: {seen.why}")
    return (
        f"{sentence(seen.method)} Trust {seen.trust:.2f}: how much the map differs from that of "
        "the same network with shuffled weights. It shows where the model looked, not what is ill."
    )


def _strange(lesion: Lesion) -> str | None:
    seen = lesion.answer.out_of_domain
    if seen.score is None or seen.flag is None:
        return None
    near = "Unlike what" if seen.flag else "Within what"
    return f"{near} the model was trained on (distance {seen.score:.1f})."
