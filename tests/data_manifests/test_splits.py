from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcilens.data_manifests.fingerprints import Match
from calcilens.data_manifests.leakage import Copy
from calcilens.data_manifests.schema import Manifest, frame_from_rows, truth
from calcilens.data_manifests.splits import with_folds, with_splits
from calcilens.errors import UsageError

SHARES = {"val": 0.15, "test": 0.15}


def table(patients: int = 300, seed: int = 0) -> Manifest:
    """Rows of patients with 1 to 6 lesions, rare findings, and two sources."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for patient in range(patients):
        for lesion in range(rng.integers(1, 7)):
            votes = [int(v) for v in rng.integers(0, 2, 3) * (rng.random() < 0.3)]
            rows.append(
                {
                    "row_id": f"{patient}-{lesion}",
                    "image": "i.png",
                    "image_kind": "png",
                    "modality": "CT",
                    **dict.fromkeys(("z0", "y0", "x0"), 0),
                    **dict.fromkeys(("z1", "y1", "x1"), 1),
                    "patient_key": f"{patient:016x}",
                    "source": "b" if patient % 5 == 0 else "a",
                    "finding_votes": votes,
                    "concern_votes": [int(v) for v in rng.integers(1, 6, 3)],
                    "readers": 3,
                    "sha256": f"{len(rows):064x}",
                }
            )
    return Manifest(frame_from_rows(rows), Path("/images"))


def by_name(manifest: Manifest, column: str) -> dict[str, object]:
    return dict(zip(manifest.frame["row_id"], manifest.frame[column], strict=True))


@given(seed=st.integers(0, 2**32 - 1), patients=st.integers(5, 40))
def test_no_patient_is_in_two_folds_and_every_row_is_in_one(seed: int, patients: int) -> None:
    frame = with_folds(table(patients, seed), 5, seed=seed).frame
    assert frame.groupby("patient_key")["fold"].nunique().eq(1).all()
    assert sorted(frame["fold"].unique()) == [0, 1, 2, 3, 4]


@settings(max_examples=15)
@given(seed=st.integers(0, 100), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(seed: int, order: object) -> None:
    manifest = table(40)
    places = list(range(len(manifest)))
    order.shuffle(places)  # type: ignore[attr-defined]
    other = Manifest(manifest.frame.iloc[places].reset_index(drop=True), manifest.root)
    ways: dict[str, Callable[[Manifest], Manifest]] = {
        "fold": lambda m: with_folds(m, 4, seed=seed),
        "split": lambda m: with_splits(m, SHARES, seed=seed),
    }
    for column, split in ways.items():
        assert by_name(split(manifest), column) == by_name(split(other), column)


def test_another_seed_gives_another_split() -> None:
    one, other = (by_name(with_splits(table(), SHARES, seed=s), "split") for s in (1, 2))
    assert one != other


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_rows_and_labels_are_close_to_what_was_asked(seed: int) -> None:
    frame = truth(with_splits(table(), SHARES, seed=seed).frame)
    shares = frame["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15}, abs=0.01)
    for labels in (frame["finding_truth"], frame["concern_truth"], frame["source"].eq("b")):
        rates = labels.groupby(frame["split"]).mean()
        assert rates.to_numpy() == pytest.approx(labels.mean(), abs=0.02)


def test_folds_are_alike() -> None:
    frame = truth(with_folds(table(), 5).frame)
    sizes = frame.groupby("fold").size()
    assert sizes.max() - sizes.min() <= 0.02 * len(frame)
    rates = frame.groupby("fold")["finding_truth"].mean()
    assert rates.max() - rates.min() < 0.02


def test_patients_whose_pixels_are_copies_stay_together() -> None:
    manifest = table(40)
    rows = manifest.frame.reset_index().groupby("patient_key")["index"].first().tolist()
    copies = [Copy(a, b, Match(1.0, (0, 0))) for a, b in pairwise(rows[:9])]
    fold = with_folds(manifest, 5, copies=copies).frame["fold"]
    assert len(set(fold.iloc[rows[:9]])) == 1
    assert len(set(with_folds(manifest, 5).frame["fold"].iloc[rows[:9]])) > 1


def test_patients_who_share_a_series_stay_together() -> None:
    manifest = table(40)
    rows = manifest.frame.reset_index().groupby("patient_key")["index"].first().tolist()[:9]
    manifest.frame.loc[rows, "series_uid"] = "1.2.3"
    assert len(set(with_folds(manifest, 5).frame["fold"].iloc[rows])) == 1


def test_unused_rows_stay_unused() -> None:
    manifest = table(40)
    manifest.frame.loc[:9, "split"] = "unused"
    split = with_splits(manifest, SHARES).frame["split"]
    assert (split[:10] == "unused").all()
    assert "unused" not in set(split[10:])
    fold = with_folds(manifest, 5).frame["fold"]
    assert fold[:10].isna().all()
    assert fold[10:].notna().all()


def test_what_was_given_is_not_changed() -> None:
    manifest = table(10)
    before = manifest.frame.copy(deep=True)
    with_folds(manifest, 3)
    pd.testing.assert_frame_equal(manifest.frame, before)


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(UsageError, match="expected at least 5 patients, found 3"):
        with_folds(table(3), 5)
    with pytest.raises(UsageError, match="--folds: expected at least 2, found 1"):
        with_folds(table(3), 1)
    with pytest.raises(UsageError, match="leave something to train on"):
        with_splits(table(30), {"val": 0.5, "test": 0.5})
    with pytest.raises(UsageError, match="--folds: expected at least 1000000000000 patients"):
        with_folds(table(3), 10**12)


@pytest.mark.parametrize("share", [float("nan"), -0.1, 1.5, float("inf")])
@pytest.mark.parametrize("name", ["val", "test"])
def test_what_is_no_share_is_refused_by_name(name: str, share: float) -> None:
    with pytest.raises(UsageError, match=f"--{name}: expected a share from 0 to 1, found {share}"):
        with_splits(table(30), SHARES | {name: share})
