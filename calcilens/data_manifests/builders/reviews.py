"""Manifest of reviews: what radiologists said of predictions, for the next model to learn from.

It reads the files that `calcilens review export` wrote, not the database of reviews.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calcilens.data_manifests.builders.build import Advance, Built
from calcilens.data_manifests.builders.dicom_folders import find_instances, find_series
from calcilens.data_manifests.builders.folder import build_lines
from calcilens.data_manifests.columns import BOX_COLUMNS
from calcilens.data_manifests.faults import Fault
from calcilens.errors import ManifestError, UsageError, compose
from calcilens.vocabulary import ABSENT, PATTERN_KEYS

REVIEWS = "reviews.jsonl"
SOURCE = "reviews"
CONCERN = {"low": "0", "high": "1"}
"""A level that lies between them is no label. Levels are no malignancy votes: those stay empty."""
_BOX = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    "minItems": 2,
    "maxItems": 2,
}
_ANSWER = {
    "type": "object",
    "required": ["calcified", "patterns", "concern"],
    "properties": {
        "stage": {"type": "string"},
        "calcified": {"type": ["boolean", "null"]},
        "patterns": {"type": "array", "items": {"enum": list(PATTERN_KEYS)}},
        "concern": {"type": ["string", "null"]},
        "box": {"anyOf": [{"type": "null"}, _BOX]},
        "mask": {"type": ["string", "null"], "pattern": "^masks/[^/]+/[^/]+$"},
    },
}
_PROPERTIES: Mapping[str, Any] = {
    "series_uid": {"type": "string"},
    "sop_uid": {"type": ["string", "null"]},
    "lesion": {"type": "string"},
    "added": {"type": "boolean"},
    "box": _BOX,
    "key_plane": {"type": ["integer", "null"]},
    "answers": {
        "type": "array",
        "items": {**_ANSWER, "required": ["stage", "calcified", "patterns"]},
    },
    "final": {"anyOf": [{"type": "null"}, _ANSWER]},
}
_LINE = {"type": "object", "required": list(_PROPERTIES), "properties": dict(_PROPERTIES)}
"""What a line has to hold; it comes from a file that anybody may have changed."""
_AGAIN = "run `calcilens review export` again"

Line = Mapping[str, Any]


def build_reviews(
    reviews: Path,
    root: Path,
    salt: bytes,
    *,
    final_votes: bool = False,
    advance: Advance | None = None,
) -> Built:
    """Build a manifest from exported reviews, one row a lesion on which an answer stands.

    Args:
        reviews: Folder with `reviews.jsonl` and masks/.
        root: Folder of the studies; images are found in it by their UIDs.
        salt: Secret that patients' identifiers are hashed with.
        final_votes: Take each reader's final verdict as the vote. By default it is the answer
            that was committed before the model's was seen, which does not depend on the model.
        advance: Told how many rows are done.

    Raises:
        UsageError: One of the folders is not there.
        ManifestError: The file cannot be used, or no row can be built.
    """
    lines = _read(reviews)
    reviews, root = reviews.resolve(), root.resolve()
    standing = [line for line in lines if line["final"] is not None]
    images = _images(root, standing)
    base = Path(os.path.commonpath([reviews, root]))
    found = [line for line in standing if _image_uid(line) in images]
    _check_found(len(lines), len(standing), len(found), root)
    rows = [_row(line, images[_image_uid(line)], reviews, base, final_votes) for line in found]
    built = build_lines(rows, salt, base, where=REVIEWS, advance=advance)
    missing = tuple(_missing(standing, images))
    return Built(built.manifest, (*built.refused, *missing), (*built.notes, *_notes(lines)))


def _read(reviews: Path) -> list[Line]:
    from jsonschema import Draft202012Validator  # takes long to load, and is seldom needed

    path, validator = reviews / REVIEWS, Draft202012Validator(_LINE)
    if not path.is_file():
        fix = "name the folder that `calcilens review export` wrote"
        raise UsageError(compose(REVIEWS, "no such file", where="--reviews", fix=fix))
    lines: list[Line] = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        where = f"{REVIEWS}, line {number}"
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ManifestError(compose("JSON", "other text", where=where, fix=_AGAIN)) from error
        fault = next(validator.iter_errors(line), None)
        if fault is not None:
            found = f"another value at {fault.json_path[:80]}"
            raise ManifestError(compose("what an export holds", found, where=where, fix=_AGAIN))
        lines.append(line)
    return lines


def _images(root: Path, lines: Sequence[Line]) -> dict[str, Path]:
    """Return where the image of each line lies: a file of a film, a folder of a series."""
    films = {line["sop_uid"] for line in lines if line["sop_uid"]}
    series = find_series(root)
    return {**series, **find_instances(root, films)}


def _check_found(lesions: int, standing: int, found: int, root: Path) -> None:
    if not standing:
        expected = "a lesion on which an answer stands"
        raise ManifestError(compose(expected, f"none of {lesions}", where=REVIEWS))
    if not found:
        fix = "name the folder that `calcilens review --studies` was given"
        where = f"--root {root.name}"
        raise ManifestError(compose("images that were reviewed", "none", where=where, fix=fix))


def _image_uid(line: Line) -> str:
    return str(line["sop_uid"] or line["series_uid"])


def _row(line: Line, image: Path, reviews: Path, base: Path, final_votes: bool) -> dict[str, str]:
    """Turn a line into one of a table of labelled lesions."""
    final = line["final"]
    box = final.get("box") or line["box"]
    key, mask = line["key_plane"], final.get("mask")
    inside = key is not None and box[0][0] <= key < box[1][0]
    return {
        "image": image.relative_to(base).as_posix(),
        "source": SOURCE,
        "series_uid": line["series_uid"],
        "sop_uid": line["sop_uid"] or "",
        "mask": (reviews / mask).relative_to(base).as_posix() if mask else "",
        "key_plane": str(key) if inside else "",
        **dict(zip(BOX_COLUMNS, map(str, (*box[0], *box[1])), strict=True)),
        **_labels(final),
        **_votes(line, final_votes),
    }


def _labels(final: Line) -> dict[str, str]:
    calcified = final["calcified"]
    return {
        "finding": "" if calcified is None else str(int(calcified)),
        "pattern": "|".join(final["patterns"]) if calcified else "",
        "concern": CONCERN.get(final["concern"], "") if calcified else "",
    }


def _votes(line: Line, final_votes: bool) -> dict[str, str]:
    """Return one vote a reader; a lesion that a reader added was found without the model."""
    stage = "final" if final_votes or line["added"] else "blinded"
    given = [answer for answer in line["answers"] if answer["stage"] == stage]
    findings = [str(int(a["calcified"])) for a in given if a["calcified"] is not None]
    patterns = [vote for answer in given for vote in _pattern_vote(answer)]
    return {"finding_votes": "|".join(findings), "pattern_votes": "|".join(patterns)}


def _pattern_vote(answer: Line) -> list[str]:
    """Return the one pattern that a reader sees; one who sees several has no single vote."""
    if answer["calcified"] is False:
        return [ABSENT]
    return list(answer["patterns"]) if len(answer["patterns"]) == 1 else []


def _missing(lines: Sequence[Line], images: Mapping[str, Path]) -> Iterator[Fault]:
    for number, line in enumerate(lines, start=1):
        if _image_uid(line) not in images:
            found = f"no file of {_image_uid(line)}"
            yield Fault(number, "image", compose("an image below --root", found))


def _notes(lines: Sequence[Line]) -> list[str]:
    """Say how many lesions have no answer that stands yet."""
    open_ones = sum(line["final"] is None for line in lines)
    return [f"{open_ones} lesions are not settled yet and left out"] if open_ones else []
