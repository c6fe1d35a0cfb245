"""A study against an earlier one: registered, lesions matched, what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.candidates import Candidate, propose
from calcilens.imaging.images import Volume
from calcilens.imaging.measure import Measurement, lesion_mask, measure
from calcilens.imaging.paired import Mineral, Pair, PriorView
from calcilens.imaging.registration import register, resemblance
from calcilens.imaging.study import Study
from calcilens.inference.change import LITTLE, Change, Group, Kind, Level, Points, Ratio, matched
from calcilens.inference.lesions import Lesion
from calcilens.inference.prior import choose, days_between
from calcilens.inference.report import Comparison, PriorLesion, StudyReport

FLAT = "change is not measured on radiographs: another projection looks like growth"
_FAINT = "one of the scans shows too little mineral here to measure a change"
_HOW = "rise over the tissue around, added up over one region of both registered scans; {}"
_MOST_POINTS = 3000
_LEAST_SHOWN, _IN_BONE = 0.5, 0.1
Absent = Callable[[Volume, Candidate], bool]
_MOST_PRIOR = 40
"""Candidates of the prior scan that are looked at; mineral is measured without them too."""


@dataclass(frozen=True, eq=False)
class _Against:
    """One CT of the current study against one of the prior."""

    study: Study
    pair: Pair
    days: int | None
    lesions: tuple[Lesion, ...]
    before: tuple[Candidate, ...]

    @property
    def failure(self) -> str | None:
        """Why the two cannot be compared, or None."""
        return self.pair.registration.why_not

    def facts(self) -> dict[str, Any]:
        """Return what the report says of the registration."""
        found = self.pair.registration
        return {
            "series_uid": self.pair.current.series_uid,
            "prior_series_uid": self.pair.prior.series_uid,
            "quality": round(found.quality, 3),
            "shared": round(found.shared, 3),
            "scale": None if self.failure else round(float(np.exp(self.pair.scale.log)), 3),
            "scale_how": None if self.failure else self.pair.scale.how,
            "why_not": self.failure,
            "to_prior": None if self.failure else np.round(found.rigid, 6).tolist(),
        }


class _Left(IntEnum):
    """What a CT shows of a prior lesion without a counterpart; of two series, the lower holds."""

    THERE = 0
    GONE = 1
    OUTSIDE = 2


@dataclass
class _Found:
    """What comparing one CT gives.

    Args:
        changes: Of the current lesions, by id.
        seen: Ids of the prior lesions with a counterpart.
        lost: The other prior lesions.
    """

    changes: dict[str, tuple[Change, PriorView | None]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    lost: list[tuple[_Left, PriorLesion]] = field(default_factory=list)


def compare(
    report: StudyReport, priors: Sequence[Study], absent: Absent = lambda *_: False
) -> StudyReport:
    """Return a report with what changed since an earlier study.

    Args:
        report: Of the current study.
        priors: Earlier studies of the patient; the CT that fits best is taken.
        absent: Whether a place of the prior scan is no calcification; nothing is told of such.
    """
    choice = choose(report.study, priors)
    notes = list(choice.notes)
    volumes = [image for image in report.study.images if isinstance(image, Volume)]
    if not volumes:
        notes.append(f"current {report.study.study_uid}: {FLAT}")
    if not choice.volumes or not volumes:
        return replace(report, comparison=Comparison(None, None, None, (), (), (), tuple(notes)))
    pairs = [_against(volume, report, choice.volumes) for volume in volumes]
    found = [_compared(one) for one in pairs]
    notes += [f"series {p.pair.current.series_uid}: {p.failure}" for p in pairs if p.failure]
    changes = {k: v for one in found for k, v in one.changes.items()}
    first = next((p for p in pairs if not p.failure), pairs[0])
    lost = list(_lost(found, pairs, absent))
    comparison = Comparison(
        prior_study_uid=first.study.study_uid,
        prior_study_date=first.study.study_date,
        days=first.days,
        series=tuple(p.facts() for p in pairs),
        gone=tuple(x for left, x in lost if left is _Left.GONE),
        not_found=tuple(x for left, x in lost if left is not _Left.GONE),
        notes=tuple(notes),
    )
    lesions = tuple(_with_change(lesion, changes, first) for lesion in report.lesions)
    return replace(report, lesions=lesions, comparison=comparison)


def _with_change(
    lesion: Lesion, changes: dict[str, tuple[Change, PriorView | None]], first: _Against
) -> Lesion:
    change, view = changes.get(lesion.id, (None, None))
    if change is None:
        uid = first.study.study_uid
        change = Change(uid, Kind.UNKNOWN, Level.NOT_COMPARABLE, days=first.days, why=FLAT)
    return replace(lesion, change=change, prior=view)


def _lost(
    found: Sequence[_Found], pairs: Sequence[_Against], absent: Absent
) -> Iterator[tuple[_Left, PriorLesion]]:
    """Yield each prior lesion once that has no counterpart in any series of the current study."""
    places = {c.id: (pair.pair.prior, c) for pair in pairs for c in pair.before}
    seen = {name for one in found for name in one.seen}
    most: dict[str, tuple[_Left, PriorLesion]] = {}
    for left, lesion in (x for one in found for x in one.lost if x[1].id not in seen):
        if lesion.id not in most or left < most[lesion.id][0]:
            most[lesion.id] = (left, lesion)
    yield from (x for x in most.values() if not absent(*places[x[1].id]))


def _against(
    current: Volume, report: StudyReport, volumes: Sequence[tuple[Study, Volume]]
) -> _Against:
    """Register the prior CT that fits best; of those that fit as well, the one scanned alike."""

    def fits(one: tuple[Study, Volume]) -> tuple[float, float]:
        unlike = np.abs(np.log(np.divide(one[1].spacing_mm, current.spacing_mm))).sum()
        return round(resemblance(one[1], current), 2), -float(unlike)

    study, prior = volumes[0] if len(volumes) == 1 else max(volumes, key=fits)
    lesions = tuple(x for x in report.lesions if x.image is current)
    pair = Pair(prior, current, register(prior, current))
    before = () if pair.registration.why_not else tuple(propose(prior)[:_MOST_PRIOR])
    return _Against(study, pair, days_between(study, report.study), lesions, before)


def _compared(one: _Against) -> _Found:
    """Match the lesions of two CTs and measure each group of them in both."""
    found = _Found()
    if one.failure:
        for lesion in one.lesions:
            found.changes[lesion.id] = (_unknown(one, one.failure), None)
        return found
    after = [lesion.candidate for lesion in one.lesions]
    before_mm = [one.pair.registration.to_current(_points(one.pair.prior, c)) for c in one.before]
    groups = matched(before_mm, [_points(one.pair.current, c) for c in after])
    for group in groups:
        _settle(one, group, before_mm, found)
    return found


def _points(volume: Volume, candidate: Candidate) -> Points:
    """Return the voxels of a lesion as points (N, 3), LPS mm; of a large one, some of them."""
    mask, _ = lesion_mask(volume, candidate)
    where = np.argwhere(mask)
    return volume.affine.to_mm(where[:: -(-len(where) // _MOST_POINTS)] + candidate.box[0])


def _settle(one: _Against, group: Group, before_mm: Sequence[Points], found: _Found) -> None:
    """Say what became of one group of lesions."""
    then, now = ([one.before[i] for i in group[0]], [one.lesions[j] for j in group[1]])
    apart = (
        [c for i, c in enumerate(one.before) if i not in group[0]],
        [x.candidate for j, x in enumerate(one.lesions) if j not in group[1]],
    )
    mineral = one.pair.mineral(then, [x.candidate for x in now], apart=apart)
    if not now:
        return found.lost.extend(_left(one, i, before_mm[i], mineral) for i in group[0])
    found.seen |= {candidate.id for candidate in then}
    before = [measure(one.pair.prior, candidate) for candidate in then]
    change = _change(one, then, now, mineral)
    if change.prior_lesions:
        change = replace(change, **_sizes(before))
    for lesion in now:
        skin = _skin_change(before, lesion)
        middle = np.mean(_points(one.pair.current, lesion.candidate), 0)
        view = PriorView(one.pair, middle) if mineral.shown > 0 else None
        place = one.pair.registration.to_prior(middle).tolist() if view else None
        own = replace(change, skin_distance_change_mm=skin, prior_centroid_mm=place)
        found.changes[lesion.id] = (own, view)
    return None


def _left(
    one: _Against, number: int, here_mm: Points, mineral: Mineral
) -> tuple[_Left, PriorLesion]:
    """Say of a prior lesion without a counterpart whether its mineral is really gone."""
    left, ratio, why = _left_of(one, here_mm, mineral)
    lesion = one.before[number]
    return left, PriorLesion(
        id=lesion.id,
        series_uid=one.pair.current.series_uid,
        prior_series_uid=one.pair.prior.series_uid,
        centroid_mm=here_mm.mean(0).tolist(),
        box_mm=[here_mm.min(0).tolist(), here_mm.max(0).tolist()],
        prior_centroid_mm=_points(one.pair.prior, lesion).mean(0).tolist(),
        prior_volume_mm3=measure(one.pair.prior, lesion).volume_mm3,
        volume_ratio=None if ratio is None else ratio.value,
        volume_ratio_ci=None if ratio is None else list(ratio.interval),
        why=why,
    )


def _left_of(one: _Against, here_mm: Points, mineral: Mineral) -> tuple[_Left, Ratio | None, str]:
    """Return what is left of a prior lesion, its ratio where there is one, and the evidence."""
    if mineral.shown < _LEAST_SHOWN:
        return _Left.OUTSIDE, None, "it lies outside this scan, for the most part"
    if _in_bone(one.pair.current, here_mm):
        return _Left.THERE, None, "this scan has bone at its place, of which nothing is told"
    taken = mineral.log_ratio(one.pair.scale)
    ratio = None if taken is None else Ratio(*taken)
    fallen = mineral.prior_hu - mineral.current_hu > Mineral.LEAST_HU
    if fallen and _missing(mineral.current_hu, mineral.prior_hu):
        share = _share(mineral.current_hu, mineral.prior_hu)
        why = f"what is left, {share} of its mineral, is no more than blur and noise may leave"
        return _Left.GONE, ratio, why
    if ratio is None:
        return _Left.THERE, None, _FAINT
    why = f"still there, though not among the lesions of this report: {ratio.evidence(one.days)}"
    return _Left.THERE, ratio, why


def _in_bone(volume: Volume, points_mm: Points) -> bool:
    """Say whether a tenth of some points lies in bone: of bone, nothing is told here."""
    at = np.rint(volume.affine.to_voxel(points_mm)).astype(int)
    inside = at[((at >= 0) & (at < volume.hu.shape)).all(1)]
    return bool(len(inside) and anatomy(volume).bone[tuple(inside.T)].mean() >= _IN_BONE)


def _missing(here_hu: float, there_hu: float) -> bool:
    """Say whether a scan does not show the mineral that the other one shows."""
    return here_hu < max(LITTLE * there_hu, Mineral.LEAST_HU)


def _share(part_hu: float, whole_hu: float) -> str:
    """Return a share in words, rounded down: what lies below a limit must not be told as at it."""
    return f"{int(100 * max(part_hu, 0) / max(whole_hu, 1))} %"


def _change(
    one: _Against, then: Sequence[Candidate], now: Sequence[Lesion], mineral: Mineral
) -> Change:
    """Return what became of a group, without what differs between its lesions."""
    if mineral.shown < _LEAST_SHOWN:
        return _unknown(one, "the lesion lies outside the prior scan, for the most part")
    base = _unknown(one, "")
    how = _HOW.format(one.pair.scale.how)
    base = replace(base, prior_lesions=tuple(c.id for c in then), how=how)
    if not then and _missing(mineral.prior_hu, mineral.current_hu):
        share = _share(mineral.prior_hu, mineral.current_hu)
        why = f"the prior scan shows {share} of its mineral at this place"
        return replace(base, kind=Kind.NEW, level=Level.NEW, why=why)
    taken = mineral.log_ratio(one.pair.scale)
    if taken is None:
        return replace(base, why=_FAINT)
    ratio = Ratio(*taken)
    why = ratio.evidence(one.days)
    if not then:
        why += "; the prior scan shows it, though it was not found there on its own"
    if mineral.shown < 1:
        why += f"; {100 * mineral.shown:.0f} % of it lies in both scans and was compared"
    return replace(
        base,
        kind=_kind(len(then), len(now), ratio),
        level=ratio.level(one.days),
        volume_ratio=ratio.value,
        volume_ratio_ci=list(ratio.interval),
        doubling_time_days=ratio.doubling_days(one.days),
        why=why,
    )


def _kind(then: int, now: int, ratio: Ratio) -> Kind:
    if then > now and then > 1:
        return Kind.MERGED
    if now > then and now > 1:
        return Kind.SPLIT
    return ratio.kind


def _unknown(one: _Against, why: str) -> Change:
    uid, series = one.study.study_uid, one.pair.prior.series_uid
    nothing = Kind.UNKNOWN, Level.NOT_COMPARABLE
    return Change(uid, *nothing, days=one.days, prior_series_uid=series, why=why)


def _sizes(before: Sequence[Measurement]) -> dict[str, Any]:
    """Return how large a lesion was: the volumes of its parts together, the largest diameter."""
    largest = max(before, key=lambda m: m.max_diameter_mm or 0.0)
    volumes, diameter = [m.volume_mm3 for m in before], largest.max_diameter_mm
    errors = [m.uncertainty.get("volume_mm3") for m in before]
    known = {
        "prior_volume_mm3": _all(errors, lambda sds: float(np.hypot.reduce(sds))),
        "prior_max_diameter_mm": largest.uncertainty.get("max_diameter_mm"),
    }
    return {
        "prior_volume_mm3": _all(volumes, sum),
        "prior_max_diameter_mm": diameter,
        "prior_uncertainty": {name: sd for name, sd in known.items() if sd is not None},
    }


def _all(values: Sequence[float | None], together: Callable[[list[float]], float]) -> float | None:
    """Return what values come to together; None where one of them is not known."""
    known = [value for value in values if value is not None]
    return together(known) if len(known) == len(values) else None


def _skin_change(before: Sequence[Measurement], lesion: Lesion) -> float | None:
    """Return the distance to the skin now minus that of the nearest part then, mm."""
    known = [m.skin_distance_mm for m in before if m.skin_distance_mm is not None]
    if lesion.measured.skin_distance_mm is None or not known:
        return None
    return lesion.measured.skin_distance_mm - min(known)
