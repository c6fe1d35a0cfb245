"""The list of studies as one reader sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from calcilens.review.accounts import Reader, Role
from calcilens.review.pictures import Pictures
from calcilens.review.reading import Reading
from calcilens.review.shelf import Shelf, Shelved
from calcilens.review.state import Phase, StudyState

_AHEAD = 2
"""Studies whose images are made ready before somebody takes them."""


def worklist(me: Reader, reading: Reading, shelf: Shelf, pictures: Pictures) -> dict[str, Any]:
    """Return all studies, how far each is, and what `me` may do; and reports that are none.

    Of a study that `me` may still have to answer, nothing of the model's answer is told.
    """
    reports = shelf.all()
    states = reading.states({uid: report.sha256 for uid, report in reports.items()})
    rows = [
        {**_row(me, reading, reports[uid], state), **_found(pictures, uid)}
        for uid, state in states.items()
    ]
    phases = Counter(row["state"] for row in rows)
    return {
        "me": as_json(me),
        "mode": {"blinded": reading.blinded, "readers": reading.readers},
        "progress": {**{p.value: phases[p.value] for p in Phase}, "total": len(rows)},
        "studies": rows,
        "unread": shelf.unread,
        "broken": [vars(one) for one in shelf.broken()],
    }


def next_to_read(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the studies that a reader is likely to take next: on top of the page's usual order.

    Args:
        studies: Of `worklist`.
    """
    free = [row for row in studies if "take" in row["can"] and row["images"]]
    free.sort(
        key=lambda row: -1.0 if row["uncertainty"] is None else row["uncertainty"], reverse=True
    )
    return [row["study_uid"] for row in free[:_AHEAD]]


def as_json(me: Reader) -> dict[str, str]:
    """Return who asks."""
    return {"name": me.name, "role": me.role.value}


def mine(me: Reader, state: StudyState) -> str | None:
    """Return what somebody is to a study."""
    if state.settling == me.name:
        return "settling"
    if me.name in state.holders:
        return "reading"
    return "signed" if me.name in state.signed else None


def may_know(me: Reader, reading: Reading, report: Shelved, state: StudyState) -> bool:
    """Tell whether the model's answers on all lesions of a study may be told to somebody."""
    if me.role is Role.ADMINISTRATOR or not state.blinded.get(me.name, reading.blinded):
        return True
    open_to_me = reading.rules.may_see(me, state)
    lesions = report.lesion_ids
    return open_to_me and all(reading.rules.revealed(me.name, x, state) for x in lesions)


def _row(me: Reader, reading: Reading, report: Shelved, state: StudyState) -> dict[str, Any]:
    known, summary = may_know(me, reading, report, state), report.summary
    allowed = set(reading.rules.can(me, state))
    can: list[str] = [name for name in ("take", "open", "release", "reopen") if name in allowed]
    if "settle" in allowed and "take" not in allowed:
        can.insert(0, "take")
    holders = [*state.holders, *([state.settling] if state.settling else [])]
    if me.role is not Role.READER and any(name != me.name for name in holders):
        can.append("end")
    return {
        "study_uid": summary.study_uid,
        "study_date": summary.study_date,
        "modalities": list(summary.modalities),
        "lesions": len(summary.lesions),
        "state": reading.rules.phase(state).value,
        "mine": mine(me, state),
        "holders": holders,
        "concern": summary.concern if known else None,
        "uncertainty": summary.uncertainty,
        "abstained": known and summary.abstained,
        "comparison": summary.comparison,
        "can": can,
    }


def _found(pictures: Pictures, study_uid: str) -> dict[str, Any]:
    why = pictures.why_not(study_uid)
    return {"images": why is None, "why_no_images": why}
