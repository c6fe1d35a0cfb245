"""What the page says where no lesion is reported: what was looked at, and what was left out."""

from __future__ import annotations

from calcilens.imaging.images import Radiograph, Volume
from calcilens.inference.absent import is_left_out
from calcilens.inference.report import StudyReport

_UNREAD = "No image of this study could be read; the reasons are listed below."
_CLEAR = {
    Volume: "On CT, nothing denser than tissue, contrast medium and noise was found outside bone.",
    Radiograph: "On the radiograph, the finder saw no calcification.",
}
_OTHER = "Not all of the study was looked at; the reasons are listed below."


def empty(report: StudyReport) -> str:
    """Return why there is no lesion, without claiming more than was looked at."""
    images, skipped = report.study.images, report.skipped
    if not images:
        return _UNREAD
    absent = [s for s in skipped if is_left_out(s)]
    named = {s.what for s in skipped}
    clear = [type(image) for image in images if image.series_uid not in named]
    words = ["No lesion is reported.", *(_CLEAR[kind] for kind in dict.fromkeys(clear))]
    if absent:
        words.append(_left_out(len(absent)))
    return " ".join([*words, _OTHER] if len(absent) < len(skipped) else words)


def _left_out(count: int) -> str:
    if count == 1:
        return (
            "1 place was looked at and left out, since the model is sure that nothing is "
            "calcified there; it is listed below."
        )
    return (
        f"{count} places were looked at and left out, since the model is sure that nothing is "
        "calcified there; they are listed below."
    )
