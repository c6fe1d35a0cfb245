"""Sensitivity and specificity of a level are those of the flags that a model would have raised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from calcilens.data_manifests.schema import truth
from calcilens.training.flags import flag_figures
from calcilens.training.predictions import join
from tests.training.evaluation_cases import guesses, labelled

LIMITS = (0.3, 0.7)
FEW = 200


@pytest.fixture
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    manifest = labelled(tmp_path_factory.mktemp("rows"))
    made = join(truth(manifest.frame), guesses(manifest), "guesses")
    made["abstained_concern"] = ""
    return made


def test_they_are_the_recalls_of_both_classes(frame: pd.DataFrame) -> None:
    known = frame.dropna(subset=["concern_truth"])
    for found, limit in zip(
        flag_figures(frame, LIMITS, resamples=FEW).values(), LIMITS, strict=True
    ):
        yes, flagged = known["concern_truth"].astype(int), (known["concern"] >= limit).astype(int)
        assert (found.n, found.n_positive, found.threshold) == (len(known), yes.sum(), limit)
        assert found.sensitivity == pytest.approx(recall_score(yes, flagged))
        assert found.specificity == pytest.approx(recall_score(yes, flagged, pos_label=0))
        assert found.sensitivity_ci95 is not None
        low, high = found.sensitivity_ci95
        assert low < (found.sensitivity or 0) < high


def test_a_higher_level_flags_less(frame: pd.DataFrame) -> None:
    low, high = flag_figures(frame, LIMITS, resamples=FEW).values()
    assert (high.sensitivity or 1) < (low.sensitivity or 0)
    assert (high.specificity or 0) > (low.specificity or 1)


def test_a_lesion_without_an_answer_raises_no_flag_and_is_left_out(frame: pd.DataFrame) -> None:
    silent = frame.assign(abstained_concern=np.where(frame.index % 2, "", "out of domain"))
    found = flag_figures(silent, LIMITS, resamples=FEW)["high"]
    assert found == flag_figures(frame[frame.index % 2 == 1], LIMITS, resamples=FEW)["high"]


def test_one_class_alone_leaves_the_other_figure_open(frame: pd.DataFrame) -> None:
    found = flag_figures(frame[frame["concern_truth"] == 1], LIMITS, resamples=FEW)["high"]
    assert found.sensitivity is not None
    assert (found.specificity, found.specificity_ci95) == (None, None)


def test_without_any_answer_there_are_no_flags(frame: pd.DataFrame) -> None:
    assert flag_figures(frame.assign(abstained_concern="undecided"), LIMITS) == {}
