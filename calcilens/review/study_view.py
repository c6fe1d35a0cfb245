"""One study as one reader may see it: the only way by which a model's answer leaves the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calcilens import DISCLAIMER
from calcilens.review.accounts import Reader
from calcilens.review.reading import Reading
from calcilens.review.reports import Place, Report
from calcilens.review.state import Group, Kind, Phase, Said, StudyState
from calcilens.review.worklist import as_json, mine

_OF_THE_STUDY = (Kind.TAKEN, Kind.RELEASED, Kind.SIGNED, Kind.REOPENED)
"""Entries that tell nothing of an answer."""


class StudyView:
    """What a reader sees of a study.

    Args:
        me: Who looks.
        reading: What was entered.
        report: Of the study.
    """

    def __init__(self, me: Reader, reading: Reading, report: Report) -> None:
        self._me, self._reading, self._report = me, reading, report
        self._rules = reading.rules
        # Of this very report: what was committed on an older one reveals nothing of a newer.
        self._state: StudyState = reading.state(report.study_uid, report.sha256)
        self._ids = tuple(place.id for place in report.lesions)
        # Until somebody has signed, they do not see what others say.
        self._over = me.name not in self._state.holders

    def seen(self) -> bool:
        """Whether `me` may see the study at all."""
        return self._rules.may_see(self._me, self._state)

    def revealed(self, lesion: str) -> bool:
        """Whether the model's answer on a lesion may be shown."""
        return self.seen() and self._rules.revealed(self._me.name, lesion, self._state)

    def document(self) -> dict[str, Any]:
        """Return all but the images, as the page gets it.

        Raises:
            NotAllowed: The study is not open to this reader.
        """
        self._rules.may_open(self._me)(self._state)
        study, reading = self._report.content["study"], self._reading
        blinded = self._state.blinded.get(self._me.name, reading.blinded)
        everything = all(self.revealed(lesion) for lesion in self._ids)
        return {
            "study": {
                "study_uid": self._report.study_uid,
                "study_date": study["study_date"],
                "modalities": study["modalities"],
                "state": self._rules.phase(self._state).value,
                "report": self._report.sha256,
                "notice": DISCLAIMER,
            },
            "me": as_json(self._me),
            "mine": mine(self._me, self._state),
            "mode": {"blinded": blinded, "readers": reading.readers},
            "can": self._can(blinded=blinded),
            "lesions": [*self._lesions()],
            "guidance": self._report.content["guidance"] if everything else None,
            "history": [*self._history()],
        }

    def _can(self, *, blinded: bool) -> list[str]:
        allowed = set(self._rules.can(self._me, self._state))
        settling = self._state.settling == self._me.name
        possible = {
            "take": bool(allowed & {"take", "settle"}),
            "release": "release" in allowed,
            "commit": "read" in allowed and blinded,
            "verdict": "read" in allowed,
            "add": "read" in allowed,
            "sign": bool(allowed & {"sign", "close"}),
            "settle": settling,
            "reopen": "reopen" in allowed,
        }
        return [name for name, may in possible.items() if may]

    def _lesions(self) -> Iterator[dict[str, Any]]:
        """Yield the report's lesions, then those that readers added."""
        disputed = {group.id for group in self._state.disputed(self._ids)} if self._over else set()
        places = {place.id: place for place in self._report.lesions}
        for number, group in enumerate(self._groups(), 1):
            place = places.get(group.id)
            where = self._added(group.id) if place is None else self._placed(place)
            yield {"id": group.id, "number": number, **where, **self._said(group, disputed)}

    def _groups(self) -> list[Group]:
        """Return the lesions that `me` knows of: those of others only when all is signed."""
        if self._over:
            return list(self._state.groups(self._ids))
        own = self._state.added_by(self._me.name)
        return [Group(lesion, (lesion,), {}) for lesion in (*self._ids, *own)]

    def _placed(self, place: Place) -> dict[str, Any]:
        shown = self.revealed(place.id)
        return {
            "image": place.image,
            "box": place.box,
            "key_plane": place.key_plane,
            "mask": place.mask is not None,
            "saliency": shown and place.saliency is not None,
            "measurements": place.measurements,
            "added_by": None,
            "revealed": shown,
            "model": self._report.model(place.id) if shown else None,
        }

    def _added(self, lesion: str) -> dict[str, Any]:
        one = self._state.added[lesion]
        return {
            "image": one.image,
            "box": one.box,
            "key_plane": (one.box[0][0] + one.box[1][0] - 1) // 2,
            "mask": False,
            "saliency": False,
            "measurements": None,
            "added_by": one.reader,
            "revealed": True,
            "model": None,
        }

    def _said(self, group: Group, disputed: set[str]) -> dict[str, Any]:
        name, state = self._me.name, self._state
        own = (state.verdicts.get((name, lesion)) for lesion in group.members)
        settled = state.settled.get(group.id) if self._over else None
        others = [said for reader, said in group.answers.items() if reader != name]
        return {
            "committed": _short(state.committed.get((name, group.id))),
            "mine": _short(next((said for said in own if said), None)),
            "others": [{"reader": s.reader, "answer": s.answer.as_json()} for s in others],
            "disputed": group.id in disputed,
            "settled": {**(_short(settled) or {}), "reader": settled.reader} if settled else None,
        }

    def _history(self) -> Iterator[dict[str, Any]]:
        phase = self._rules.phase(self._state)
        all_signed = self._over and phase in (Phase.DISPUTED, Phase.DONE)
        for entry in self._reading.history(self._report.study_uid):
            if all_signed or entry.reader == self._me.name or entry.kind in _OF_THE_STUDY:
                yield {
                    "time": entry.time,
                    "reader": entry.reader,
                    "kind": entry.kind,
                    "lesion": entry.lesion,
                }


def _short(said: Said | None) -> dict[str, Any] | None:
    return None if said is None else {"seq": said.seq, "answer": said.answer.as_json()}
