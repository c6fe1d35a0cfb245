"""Reviews as tables: one row an answer for people, one line a lesion for the next manifest."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from calcilens.review.cases import Case, Reviewed
from calcilens.review.state import Box, Said

COLUMNS = (
    *("study_uid", "series_uid", "sop_uid", "lesion", "added", "reader", "phase"),
    *("calcified", "patterns", "concern", "confidence", "comment", "box", "mask"),
    *("model_calcified", "model_patterns", "model_concern", "changed"),
    *("seconds", "time", "seq", "hash", "report"),
)
"""Of verdicts.csv. `phase` is blinded, final or settled."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the begin of a formula, in some countries also when wide."""

Names = Mapping[str, str]
Masks = Mapping[int, tuple[str, Box]]
"""File of the mask of an answer and the box that it fills, by the number of the entry."""


def answers(case: Case) -> Iterator[tuple[str, Said]]:
    """Yield every answer on a lesion with its phase."""
    for reader in sorted(case.group.answers):
        if reader in case.committed:
            yield "blinded", case.committed[reader]
        yield "final", case.group.answers[reader]
    if case.settled is not None:
        yield "settled", case.settled


def verdicts_csv(studies: Iterable[Reviewed], names: Names, masks: Masks) -> str:
    """Return the table of all answers."""
    stream = io.StringIO()
    table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    table.writeheader()
    for study in studies:
        for case in study.cases:
            for phase, said in answers(case):
                row = _row(study, case, phase, said) | {
                    "mask": masks[said.seq][0] if said.seq in masks else ""
                }
                table.writerow(row | {"reader": names[said.reader]})
    return stream.getvalue()


def _row(study: Reviewed, case: Case, phase: str, said: Said) -> dict[str, Any]:
    answer, model = said.answer, case.model
    row: dict[str, Any] = {
        "study_uid": study.study_uid,
        "series_uid": case.series_uid,
        "sop_uid": case.sop_uid or "",
        "lesion": case.lesion,
        "added": _word(case.added),
        "phase": phase,
        "calcified": _word(answer.calcified),
        "patterns": "|".join(answer.patterns),
        "concern": answer.concern or "",
        "confidence": answer.confidence,
        "comment": _text(answer.comment),
        "box": "" if answer.box is None else json.dumps(answer.box),
        "seconds": said.seconds,
        "time": said.time,
        "seq": said.seq,
        "hash": said.hash,
        "report": study.report.sha256,
    }
    if model is not None:
        row["model_calcified"] = _word(model.calcified)
        row["model_patterns"] = "|".join(model.patterns)
        row["model_concern"] = model.concern or ""
        row["changed"] = "|".join(model.changed_by(answer))
    return row


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]


def _text(comment: str) -> str:
    """Return a comment that no spreadsheet takes for a formula, and no terminal for a command."""
    shown = "".join(" " if _control(letter) else letter for letter in comment)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _control(letter: str) -> bool:
    return letter not in "\n\t" and unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def reviews_jsonl(studies: Iterable[Reviewed], names: Names, masks: Masks) -> str:
    """Return one line of JSON a lesion, as the builder of manifests reads it."""
    lines = [
        json.dumps(_line(study, case, names, masks), sort_keys=True)
        for study in studies
        for case in study.cases
    ]
    return "".join(f"{line}\n" for line in lines)


def _line(study: Reviewed, case: Case, names: Names, masks: Masks) -> dict[str, Any]:
    given = [
        {"stage": phase, "reader": names[said.reader], **_answer(said, masks)}
        for phase, said in answers(case)
    ]
    return {
        "study_uid": study.study_uid,
        "series_uid": case.series_uid,
        "sop_uid": case.sop_uid,
        "report": study.report.sha256,
        "state": study.phase.value,
        "lesion": case.lesion,
        "added": case.added,
        "box": case.box,
        "key_plane": None if case.place is None else case.place.key_plane,
        "answers": given,
        "final": None if case.final is None else _answer(case.final, masks),
    }


def _answer(said: Said, masks: Masks) -> dict[str, Any]:
    """Return an answer without its comment, in which anything may stand."""
    content = said.answer.as_json()
    del content["comment"]
    mask, box = masks.get(said.seq, (None, content["box"]))
    return content | {"mask": mask, "box": box}
