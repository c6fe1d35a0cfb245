"""Facts of the lesions of a report.json: measured by the program, or predicted by a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from calcilens.guidance.facts import Fact, Facts, Origin, Value, flag, whole
from calcilens.guidance.terms import data, terms

_GROWTH = {
    "rapid growth": ("rapid",),
    "grown": ("growing",),
    "new": ("growing", "rapid"),
    "stable": ("stable",),
    "shrunk": ("shrinking",),
}
"""Level of a change -> what it may be. A new lesion has grown from nothing, at a pace not known."""
SKIN_ERROR_MM = 2.0
"""Distances to the skin are measured this well (docs/measure.md): less is no change."""
_SIDES = {"L": "left", "R": "right", "B": "both"}
_XRAY = {"CR", "DX", "DR", "RG", "XA", "RF", "IO", "PX", "MG"}
_MEASURED = ("depth", "compartment", "zoning")


def day_of(study_date: str | None) -> date | None:
    """Return the day of a StudyDate, YYYYMMDD; None where it is none."""
    try:
        return date.fromisoformat(study_date) if study_date else None
    except ValueError:
        return None


def of_study(report: Mapping[str, Any]) -> Facts:
    """Return what a report tells of the patient: which imaging there is."""
    modalities = {str(m) for m in report["study"]["modalities"]}
    known = {"imaging.ct": "CT" in modalities, "imaging.radiograph": bool(modalities & _XRAY)}
    return Facts(_fact(t, flag(True), "yes", Origin.MEASURED) for t, seen in known.items() if seen)


def of_lesions(report: Mapping[str, Any]) -> dict[str, Facts]:
    """Return the facts of every lesion under its id."""
    places = _places(report)
    patterns = Counter(_pattern(lesion) for lesion in report["lesions"])
    found = {}
    for lesion in report["lesions"]:
        facts = [*_measured(lesion), *_predicted(lesion), *_changed(lesion)]
        facts += places.get(lesion["sop_uids"][0], []) or places.get(lesion["series_uid"], [])
        like = patterns[_pattern(lesion)] if _pattern(lesion) else 0
        if like > 1:
            words = f"{like} of its pattern"
            facts.append(_fact("lesion.several", flag(True), words, Origin.PREDICTED))
        found[lesion["id"]] = Facts(facts)
    return found


def _calcified(lesion: Mapping[str, Any]) -> bool:
    said = lesion["finding"]
    return not said["abstained"] and (said["probability"] or 0) >= 0.5


def _pattern(lesion: Mapping[str, Any]) -> str | None:
    """Return the pattern of a lesion, where the network leaves one alone."""
    said = lesion["pattern"]
    if said["abstained"] or len(said["set"]) != 1 or not _calcified(lesion):
        return None
    return str(said["set"][0])


def _measured(lesion: Mapping[str, Any]) -> Iterator[Fact]:
    taken = lesion["measurements"]
    size = taken["max_diameter_mm"]
    if size is not None:
        how = "projected, " if lesion["box_px"] else ""
        words = f"{how}{size:.1f} mm"
        yield _fact("lesion.max_diameter_mm", whole(size), words, Origin.MEASURED)
    for word in _MEASURED:
        value = taken.get(word)
        if value in terms()[f"lesion.{word}"].values:
            yield _fact(f"lesion.{word}", frozenset({value}), value, Origin.MEASURED)
    if taken.get("bone_erosion") is not None:
        yield _yes_no("lesion.bone_erosion", bool(taken["bone_erosion"]))
    shell = taken.get("soft_tissue_mm")
    if shell is not None:
        words = f"{shell:.1f} mm around the mineral" if shell else "none around the mineral"
        yield _fact("lesion.soft_tissue_mass", flag(shell > 0), words, Origin.MEASURED)


def _predicted(lesion: Mapping[str, Any]) -> Iterator[Fact]:
    """Return the pattern, as far as the network narrows it down."""
    said = lesion["pattern"]
    if said["abstained"] or not said["set"] or not _calcified(lesion):
        return
    names = " or ".join(key.replace("_", " ") for key in said["set"])
    yield _fact("lesion.pattern", frozenset(said["set"]), names, Origin.PREDICTED)


def _changed(lesion: Mapping[str, Any]) -> Iterator[Fact]:
    change = lesion["change"]
    if change is None:
        return
    values = _GROWTH.get(change["level"])
    if values:
        ratio = change["volume_ratio"]
        words = change["level"] + (f", volume × {ratio:.2f}" if ratio else "")
        yield _fact("lesion.growth", frozenset(values), words, Origin.MEASURED)
    moved = change["skin_distance_change_mm"]
    if moved is not None and (moved < -SKIN_ERROR_MM or moved >= 0):
        words = f"{moved:+.1f} mm to the skin"
        yield _fact("lesion.nearer_skin", flag(moved < 0), words, Origin.MEASURED)


def _places(report: Mapping[str, Any]) -> dict[str, list[Fact]]:
    """Return site and side by the UID of a film or a series."""
    sites = data("sites")
    found: dict[str, list[Fact]] = {}
    for image in (*report["series"], *report["films"]):
        facts = []
        part, side = image.get("body_part"), _SIDES.get(image.get("laterality") or "")
        if part in sites:
            words = f"{' or '.join(sites[part])} (BodyPartExamined {part})"
            facts.append(_fact("lesion.site", frozenset(sites[part]), words, Origin.MEASURED))
        if side in ("left", "right"):
            facts.append(_fact("lesion.side", frozenset({side}), side, Origin.MEASURED))
        found[image.get("sop_uid") or image["series_uid"]] = facts
    return found


def _yes_no(term: str, is_so: bool) -> Fact:
    return _fact(term, flag(is_so), "yes" if is_so else "no", Origin.MEASURED)


def _fact(term: str, value: Value, words: str, origin: Origin) -> Fact:
    return Fact(term, value, origin, f"{terms()[term].label}: {words}")
