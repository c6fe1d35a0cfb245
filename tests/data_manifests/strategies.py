"""Hypothesis strategies for manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from calcilens.data_manifests.columns import BOX_COLUMNS, IMAGE_KINDS, MODALITIES, SPLITS
from calcilens.data_manifests.rows import count_readers
from calcilens.data_manifests.schema import Manifest, new_manifest
from calcilens.vocabulary import ABSENT, PATTERN_KEYS

WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8
)
PATHS = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/\\"),
        min_size=1,
        max_size=8,
    ).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=3,
).map("/".join)
UIDS = st.lists(st.integers(0, 10**6).map(str), min_size=1, max_size=7).map(".".join)
MM = st.floats(1e-6, 1e6)


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.integers(0, 16**digits - 1).map(lambda n: f"{n:0{digits}x}")


def votes(vote: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any] | None]:
    return st.none() | st.lists(vote, min_size=1, max_size=8)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Rows that keep every promise of a manifest; cells that may be empty sometimes are."""
    start = [draw(st.integers(0, 500)) for _ in range(3)]
    stop = [s + draw(st.integers(1, 500)) for s in start]
    row: dict[str, Any] = {
        "row_id": draw(WORDS),
        "image": draw(PATHS),
        "image_kind": draw(st.sampled_from(IMAGE_KINDS)),
        "mask": draw(st.none() | PATHS),
        "modality": draw(st.sampled_from(MODALITIES)),
        "study_uid": draw(st.none() | UIDS),
        "series_uid": draw(st.none() | UIDS),
        "sop_uid": draw(st.none() | UIDS),
        "frame": draw(st.none() | st.integers(0, 2**40)),
        "key_plane": draw(st.none() | st.integers(start[0], stop[0] - 1)),
        **dict(zip(BOX_COLUMNS, [*start, *stop], strict=True)),
        **{f"spacing_{axis}_mm": draw(st.none() | MM) for axis in "zyx"},
        "patient_key": draw(hexadecimal(16)),
        "source": draw(WORDS),
        "split": draw(st.none() | st.sampled_from(SPLITS)),
        "fold": draw(st.none() | st.integers(0, 9)),
        "finding_votes": draw(votes(st.integers(0, 1))),
        "finding": draw(st.none() | st.sampled_from([0.0, 1.0])),
        "pattern_votes": draw(votes(st.sampled_from([*PATTERN_KEYS, ABSENT]))),
        "pattern": draw(votes(st.sampled_from(PATTERN_KEYS))),
        "concern_votes": draw(votes(st.integers(1, 5))),
        "concern": draw(st.none() | st.sampled_from([0.0, 1.0])),
        "contrast": draw(st.none() | st.booleans()),
        "diameter_mm": draw(st.none() | MM),
        "site": draw(st.none() | WORDS),
        "kvp": draw(st.none() | MM),
        "kernel": draw(st.none() | WORDS),
        "sha256": draw(hexadecimal(64)),
    }
    return row | {"readers": count_readers(row)}


def manifests(least: int = 1, most: int = 3) -> st.SearchStrategy[Manifest]:
    """Manifests whose row names are their own; the images are not there."""
    table = st.lists(rows(), min_size=least, max_size=most, unique_by=lambda row: row["row_id"])
    return table.map(lambda made: new_manifest(made, Path("/images")))
