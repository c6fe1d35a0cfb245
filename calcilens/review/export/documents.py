"""Verified structured reports of the studies that are done."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import InputError, compose
from calcilens.inference.export.outlines import around
from calcilens.inference.export.sr_planes import planes_of_series
from calcilens.inference.export.sr_verified import build_verified
from calcilens.inference.export.verdicts import Outline, Verdict, Verification
from calcilens.review.attachments import Attachments
from calcilens.review.cases import Case, Reviewed
from calcilens.review.export.masks import drawn
from calcilens.review.state import Box, Said

Names = Mapping[str, str]


def documents(
    study: Reviewed, attachments: Attachments, names: Names, organisation: str
) -> list[tuple[str, bytes]]:
    """Return name and bytes of the verified reports of a study that is done.

    Args:
        study: With what its readers say.
        attachments: Masks that they drew.
        names: What readers are called.
        organisation: Theirs.

    Raises:
        InputError: There is no preliminary report, or an outline has no place in it.
    """
    state = study.state
    signatures = [state.closed] if state.closed else list(state.signed.values())
    observers = tuple((names[one.reader], one.time) for one in signatures)
    planes = planes_of_series(study.report.folder)
    tracking = {x["id"]: str(x["tracking_uid"]) for x in study.report.content["lesions"]}
    verdicts = tuple(
        _verdict(study, case, case.final, names, tracking, _outlines(case, attachments, planes))
        for case in study.cases
        if case.final is not None and not (case.added and case.final.answer.calcified is False)
    )
    return build_verified(
        study.report.folder, Verification(observers, organisation, study.head, verdicts)
    )


def _verdict(
    study: Reviewed,
    case: Case,
    final: Said,
    names: Names,
    tracking: Mapping[str, str],
    outlines: tuple[Outline, ...],
) -> Verdict:
    settled = case.settled is not None
    readers = [final.reader] if settled else sorted(case.group.answers)
    answer = final.answer
    return Verdict(
        lesion=case.lesion,
        tracking_uid=tracking.get(case.lesion) or _tracking(study.study_uid, case.lesion),
        readers=tuple(names[reader] for reader in readers),
        calcified=answer.calcified,
        patterns=answer.patterns,
        concern=answer.concern,
        confidence=answer.confidence,
        comment=answer.comment,
        changed=() if case.model is None else case.model.changed_by(answer),
        outlines=outlines,
        added=case.added,
    )


def _tracking(study_uid: str, lesion: str) -> str:
    name = f"calcilens:added:{study_uid}:{lesion}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def _outlines(
    case: Case, attachments: Attachments, planes: Mapping[str, tuple[str, ...]]
) -> tuple[Outline, ...]:
    """Return the lines that were drawn, the plane with most of it first; none of the report's."""
    answer = None if case.final is None else case.final.answer
    if answer is None or not (case.added or answer.mask or answer.box):
        return ()
    if answer.mask is not None:
        (start, _), voxels = drawn(attachments.get(answer.mask))
    else:
        start, voxels = _filled(answer.box or case.box)
    shown = [z for z in range(len(voxels)) if voxels[z].any()]
    shown.sort(key=lambda z: -int(voxels[z].sum()))
    corner = np.array(start[:0:-1], float)
    return tuple(
        Outline(
            _file(case, planes, start[0] + z),
            None,
            tuple((float(x), float(y)) for x, y in around(voxels[z]) + corner),
        )
        for z in shown
    )


def _filled(box: Box) -> tuple[tuple[int, int, int], NDArray[np.bool_]]:
    start, stop = box
    return start, np.ones([b - a for a, b in zip(start, stop, strict=True)], bool)


def _file(case: Case, planes: Mapping[str, tuple[str, ...]], z: int) -> str:
    """Return the file of a plane; several frames in one file cannot be told apart here."""
    if case.sop_uid is not None:
        return case.sop_uid
    files = planes.get(case.series_uid, ())
    if z >= len(files):
        expected = f"plane {z} of series {case.series_uid} as a file of its own"
        raise InputError(compose(expected, f"{len(files)} files", where=f"lesion {case.lesion}"))
    return files[z]
