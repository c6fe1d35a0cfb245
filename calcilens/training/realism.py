"""How real phantoms look: a classifier is trained to tell them from real images.

Its cross-validated area under the ROC curve is the figure: 0.5 where it cannot, 1 where it
always can. Nothing that is judged was learned on: folds keep people, or blocks of a body, whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from calcilens.errors import InputError, compose
from calcilens.training import metrics
from calcilens.training.realism_features import features, names
from calcilens.training.realism_views import Views, matched

Float = NDArray[np.float64]
Label = NDArray[np.int64]
FOLDS = 5
LEAST_PICTURES = 20
CLOSENESS = {"tissue": 0.3, "lesions": 0.4, "radiographs": 0.0}
"""How much a pair may differ in content: shares of tissue and noise; log2 of the box's side."""
_TOLD, _LOTS = 6, 10
_STRENGTH = 0.02


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve with its interval."""

    auroc: float
    auroc_ci95: metrics.Interval | None


@dataclass(frozen=True)
class Realism:
    """One comparison.

    Args:
        kind: tissue, lesions or radiographs.
        real, phantom: Pictures of each side.
        real_groups, phantom_groups: People or blocks of a body that they are of.
        by_family: Area of a classifier on each family of features, and on all.
        by_lot: The same on all, with labels drawn by lot, the mean of several draws: near 0.5
            where nothing leaks.
        telling: Named features that tell most, each by itself: above 0.5 where the real
            pictures have more of it.
    """

    kind: str
    real: int
    phantom: int
    real_groups: int
    phantom_groups: int
    by_family: dict[str, Area]
    by_lot: float
    telling: dict[str, float]


def compare(kind: str, real: Views, phantom: Views) -> Realism:
    """Train and judge the classifier.

    Args:
        kind: What the pictures show, a key of `CLOSENESS`.
        real: Pictures of people.
        phantom: Simulated pictures.

    Raises:
        InputError: There are too few pictures, or too few people, of a side.
    """
    if len(real) and len(phantom):
        real, phantom = matched(real, phantom, CLOSENESS[kind])
    _check(kind, real, phantom)
    is_real = np.repeat([1, 0], [len(real), len(phantom)])
    group = np.concatenate([np.char.add("r", real.group), np.char.add("p", phantom.group)])
    tables = features(np.concatenate([real.pixels, phantom.pixels]))
    whole = np.concatenate(list(tables.values()), 1)
    rng = np.random.default_rng(3)
    lots = [roc_auc_score(*_judged(whole, rng.permutation(is_real), group)) for _ in range(_LOTS)]
    return Realism(
        kind,
        len(real),
        len(phantom),
        len(np.unique(real.group)),
        len(np.unique(phantom.group)),
        {name: _area(table, is_real, group) for name, table in (tables | {"all": whole}).items()},
        float(np.mean(lots)),
        _telling(tables, is_real),
    )


def _check(kind: str, real: Views, phantom: Views) -> None:
    for name, side in (("real", real), ("phantom", phantom)):
        groups = len(np.unique(side.group))
        if len(side) < LEAST_PICTURES or groups < FOLDS:
            raise InputError(
                compose(
                    f"{LEAST_PICTURES} pictures of {FOLDS} people or parts of a body",
                    f"{len(side)} of {groups}",
                    where=f"{name} {kind} of the same content",
                    fix="give more images, or more phantoms of that site",
                )
            )


def _area(table: Float, label: Label, group: NDArray[np.str_]) -> Area:
    """Return how well a classifier on a table of features tells labels apart."""
    label, score = _judged(table, label, group)
    drawn = metrics.resample(group, metrics.auroc_of(label, score))
    return Area(float(roc_auc_score(label, score)), metrics.interval(drawn))


def _judged(table: Float, label: Label, group: NDArray[np.str_]) -> tuple[Label, Float]:
    """Return labels, and scores of classifiers that learned on other groups."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=2000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    score = cross_val_predict(
        model, table, label, groups=group, cv=folds, method="predict_proba", n_jobs=1
    )
    return label, score[:, 1]


def _telling(tables: dict[str, Float], label: Label) -> dict[str, float]:
    """Return the named features that tell most by themselves, with their areas."""
    found = {
        name: float(roc_auc_score(label, column))
        for family, listed in names().items()
        for name, column in zip(listed, tables[family].T, strict=True)
    }
    most = sorted(found, key=lambda name: -abs(found[name] - 0.5))[:_TOLD]
    return {name: round(found[name], 3) for name in most}
