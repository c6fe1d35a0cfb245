"""What reviews amount to: agreement, how often readers change the model's answer, drift, time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcilens.review.agreement import SMALL, Kappa, Pair, kappa, share
from calcilens.review.answers import Answer
from calcilens.review.cases import Case, Reviewed
from calcilens.review.model_answer import ModelAnswer
from calcilens.review.state import STEP, Phase, Said
from calcilens.vocabulary import PATTERN_KEYS, ConcernLevel

FINDINGS = (False, None, True)
CONCERNS = tuple(x.value for x in (ConcernLevel.LOW, ConcernLevel.INTERMEDIATE, ConcernLevel.HIGH))
LEAST_IN_MONTH = 5
"""A month with fewer answers is not held against the limits."""


@dataclass(frozen=True)
class _Lesion:
    """A lesion of a report that two readers or a reader and the model speak of."""

    study: str
    case: Case


def statistics(
    studies: Iterable[Reviewed], names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the figures as plain values; the same reviews give the same figures.

    Args:
        studies: As `calcilens.review.cases.reviewed` gives them.
        names: What readers are called; by default by their sign-in names.
    """
    known = sorted(studies, key=lambda study: study.study_uid)
    lesions = [_Lesion(s.study_uid, case) for s in known for case in s.cases]
    return {
        "small_below": SMALL,
        "n": _numbers(known, lesions),
        "between_readers": {
            "blinded": _agreement(_reader_pairs(lesions, blinded=True)),
            "final": _agreement(_reader_pairs(lesions, blinded=False)),
        },
        "reader_and_model": _with_model(lesions, names or {}),
        "overrides": _overrides(lesions),
        "minds_changed": _minds(lesions),
        "missed": _missed(known, lesions),
        "drift": _drift(lesions),
        "seconds": _seconds(known, lesions),
    }


def _numbers(studies: Sequence[Reviewed], lesions: Sequence[_Lesion]) -> dict[str, int]:
    readers = {reader for study in studies for reader in study.state.signed}
    return {
        "studies": len(studies),
        "done": sum(study.phase is Phase.DONE for study in studies),
        "disputed": sum(study.phase is Phase.DISPUTED for study in studies),
        "readers": len(readers),
        "lesions": len(lesions),
        "answers": sum(len(lesion.case.group.answers) for lesion in lesions),
    }


# --- agreement ---

_Pairs = list[tuple[Answer, Answer, str]]


def _reader_pairs(lesions: Sequence[_Lesion], *, blinded: bool) -> _Pairs:
    """Return what two readers say of each lesion of a report; the first is first by name."""
    found = []
    for lesion in lesions:
        said = lesion.case.committed if blinded else lesion.case.group.answers
        if len(said) == 2 and not lesion.case.added:
            one, other = (said[name].answer for name in sorted(said))
            found.append((one, other, lesion.study))
    return found


def _agreement(pairs: _Pairs) -> dict[str, Any]:
    patterns = {
        key: kappa([(key in a.patterns, key in b.patterns, s) for a, b, s in pairs], (False, True))
        for key in PATTERN_KEYS
        if any(key in a.patterns or key in b.patterns for a, b, _ in pairs)
    }
    return {
        "finding": kappa([(a.calcified, b.calcified, s) for a, b, s in pairs], FINDINGS).as_json(),
        "concern": _concern([(a.concern, b.concern, s) for a, b, s in pairs]).as_json(),
        "patterns": {key: found.as_json() for key, found in patterns.items()},
    }


def _concern(pairs: Sequence[Pair]) -> Kappa:
    """Return the agreement on levels; lesions where one cannot say do not count."""
    stated = [pair for pair in pairs if None not in pair[:2]]
    return kappa(stated, CONCERNS, ordered=True)


def _with_model(lesions: Sequence[_Lesion], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the agreement of readers with the model, before and after they saw its answer."""
    readers = sorted({name for lesion in lesions for name in lesion.case.group.answers})
    return {
        phase: {
            "all": _pooled(lesions, readers, blinded),
            "by_reader": {
                names.get(name, name): _pooled(lesions, [name], blinded) for name in readers
            },
        }
        for phase, blinded in (("blinded", True), ("final", False))
    }


def _pooled(lesions: Sequence[_Lesion], readers: Sequence[str], blinded: bool) -> dict[str, Any]:
    pairs = [
        (said[name].answer, model, lesion.study)
        for lesion, model in _judged(lesions)
        for said in [lesion.case.committed if blinded else lesion.case.group.answers]
        for name in readers
        if name in said
    ]
    finding = [(a.calcified, m.calcified, s) for a, m, s in pairs if m.calcified is not None]
    return {
        "finding": kappa(finding, FINDINGS).as_json(),
        "concern": _concern([(a.concern, m.concern, s) for a, m, s in pairs]).as_json(),
    }


def _judged(lesions: Iterable[_Lesion]) -> Iterator[tuple[_Lesion, ModelAnswer]]:
    for lesion in lesions:
        if lesion.case.model is not None:
            yield lesion, lesion.case.model


# --- what readers do with the model's answer ---


def _final(lesions: Iterable[_Lesion]) -> Iterator[tuple[ModelAnswer, str, Said]]:
    """Yield each reader's final verdict on a lesion of a report."""
    for lesion, model in _judged(lesions):
        for name, said in sorted(lesion.case.group.answers.items()):
            yield model, name, said


def _overrides(lesions: Sequence[_Lesion]) -> dict[str, Any]:
    """Return how often readers change the model's answer, by its likeliest pattern."""
    by_pattern: dict[str, list[bool]] = defaultdict(list)
    parts: Counter[str] = Counter()
    everything = []
    for model, _, said in _final(lesions):
        changed = model.changed_by(said.answer)
        parts.update(changed)
        everything.append(bool(changed))
        by_pattern[model.patterns[0] if model.patterns else "none named"].append(bool(changed))
    names = [key for key in (*PATTERN_KEYS, "none named") if key in by_pattern]
    return {
        "all": share(sum(everything), len(everything)).as_json(),
        "by_pattern": {
            key: share(sum(by_pattern[key]), len(by_pattern[key])).as_json() for key in names
        },
        "by_part": {
            part: share(parts[part], len(everything)).as_json()
            for part in ("finding", "pattern", "concern")
        },
    }


def _minds(lesions: Sequence[_Lesion]) -> dict[str, Any]:
    """Return how often readers changed their mind on seeing the model's answer, and to its side.

    To its side: the final verdict changes less of the model's answer than the blinded one did.
    """
    changed = toward = away = n = 0
    for lesion, model in _judged(lesions):
        for name, before in lesion.case.committed.items():
            after = lesion.case.group.answers[name]
            n += 1
            changed += not before.answer.agrees(after.answer)
            step = len(model.changed_by(after.answer)) - len(model.changed_by(before.answer))
            toward += step < 0
            away += step > 0
    return {
        "changed": share(changed, n).as_json(),
        "to_the_model": share(toward, n).as_json(),
        "from_the_model": share(away, n).as_json(),
    }


def _missed(studies: Sequence[Reviewed], lesions: Sequence[_Lesion]) -> dict[str, Any]:
    """Return the lesions that readers added, and how many both readers of a study added."""
    added = [lesion.case for lesion in lesions if lesion.case.added]
    with_some = {lesion.study for lesion in lesions if lesion.case.added}
    return {
        "lesions": len(added),
        "by_both": sum(len(case.group.answers) > 1 for case in added),
        "studies": share(len(with_some), len(studies)).as_json(),
    }


def _drift(lesions: Sequence[_Lesion]) -> dict[str, Any]:
    """Return the share of changed answers a month, with limits of three standard errors (p chart).

    The limits are about the share of all months, as wide as a month's number of answers makes them.
    """
    months: dict[str, list[bool]] = defaultdict(list)
    for model, _, said in _final(lesions):
        months[said.time[:7]].append(bool(model.changed_by(said.answer)))
    every = [changed for found in months.values() for changed in found]
    mean = sum(every) / len(every) if every else None
    return {
        "mean": None if mean is None else round(mean, 4),
        "months": [_month(name, found, mean or 0.0) for name, found in sorted(months.items())],
    }


def _month(name: str, changed: Sequence[bool], mean: float) -> dict[str, Any]:
    n, found = len(changed), share(sum(changed), len(changed))
    half = 3 * math.sqrt(mean * (1 - mean) / n)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    rate = sum(changed) / n
    judged = n >= LEAST_IN_MONTH
    return {
        "month": name,
        **found.as_json(),
        "limits": [round(low, 4), round(high, 4)],
        "outside": (not low <= rate <= high) if judged else None,
    }


_STEPS = {
    "overview": "looking around",
    "blind": "own answers first",
    "compare": "beside the model's",
    "verdict": "verdicts",
    "saved": "after the verdicts",
}
"""Of the page, in words."""


def _seconds(studies: Sequence[Reviewed], lesions: Sequence[_Lesion]) -> dict[str, Any]:
    """Return the median time of each step with its quartiles."""
    taken: dict[str, list[float]] = defaultdict(list)
    for lesion in lesions:
        taken["a lesion: own answer first"] += [x.seconds for x in lesion.case.committed.values()]
        taken["a lesion: verdict"] += [x.seconds for x in lesion.case.group.answers.values()]
    for study in studies:
        for signature in study.state.signed.values():
            for step, seconds in _words(signature.seconds):
                taken[f"a study: {_STEPS.get(step, step)}"].append(seconds)
    return {name: _quartiles(values) for name, values in sorted(taken.items()) if values}


def _words(seconds: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the steps that a page of ours names: an older entry may hold anything."""
    for step, taken in seconds.items():
        if STEP.fullmatch(step):
            yield step, taken


def _quartiles(values: Sequence[float]) -> dict[str, Any]:
    low, middle, high = (round(float(v), 2) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    return {
        "n": len(values),
        "median": middle,
        "quartiles": [low, high],
        "small": len(values) < SMALL,
    }
