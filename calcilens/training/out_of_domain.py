"""Does a model notice what it was not made for? Strangers against the rows at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from calcilens.data_manifests.schema import Manifest, plain_rows
from calcilens.models.abstention import OUT_OF_DOMAIN, Reason
from calcilens.models.loading import LoadedModel
from calcilens.training.metrics import Float
from calcilens.training.pictures import Donor
from calcilens.training.predict_rows import answers, see_lesions
from calcilens.training.samples import CutLesion, Sample, ScaleLesion, spread
from calcilens.training.strangers import MAKERS, strangers

DONORS = 40
"""Lesions whose place strangers take, one of every kind for each."""
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class OutOfDomainFigures:
    """How well strangers are told from the evaluated rows."""

    n: int
    """Strangers."""
    found: dict[str, float]
    """Kind -> share that the model flags, by its own limit."""
    found_overall: float
    false_alarms: float
    """Share of the evaluated rows that the model flags."""
    auroc: float
    found_at_5_percent: dict[str, float]
    """Kind -> share beyond the distance that 5 % of the evaluated rows exceed."""
    found_at_5_percent_overall: float


def judge_domain(
    manifest: Manifest,
    model: LoadedModel,
    rows: pd.DataFrame,
    predicted: pd.DataFrame,
    advance: Callable[[int], None] = lambda done: None,
) -> OutOfDomainFigures | None:
    """Show strangers to a model.

    Args:
        manifest: Where the images are.
        model: Of which modality is on its card.
        rows: Evaluated rows of the manifest.
        predicted: What `answers` gave for them.
        advance: Is told how many strangers were judged since the last call.

    Returns:
        None for a model that was not taught what is usual.
    """
    if predicted["out_of_domain"].isna().all():
        return None
    cut, scale = CutLesion(manifest, model.spec), ScaleLesion(model.spec)
    modality = str(model.card.get("modality"))
    chosen = plain_rows(rows.iloc[spread(len(rows), DONORS)])
    donors = [Donor(cut(row), modality, number) for number, row in enumerate(chosen)]
    kinds: list[str] = []

    def shown() -> Iterator[Sample]:
        for kind, sample in strangers(donors):
            kinds.append(kind)
            yield scale(sample)

    asked = np.ones((len(donors) * len(MAKERS), len(model.network.members)), bool)
    with torch.inference_mode():
        seen = see_lesions(model.network, shown(), asked, advance)
    found = answers(model.network, seen, pd.RangeIndex(len(asked)))
    return domain_figures(found.assign(kind=kinds), predicted)


def domain_figures(found: pd.DataFrame, usual: pd.DataFrame) -> OutOfDomainFigures:
    """Compare strangers with evaluated rows.

    Args:
        found: Of strangers: kind, out_of_domain and abstained_finding.
        usual: Of evaluated rows: the last two.
    """
    far, near = _distance(found), _distance(usual)
    beyond = far > np.quantile(near, 1 - FALSE_ALARMS)
    flagged = _flagged(found)
    truth = np.r_[np.ones(len(far)), np.zeros(len(near))]
    return OutOfDomainFigures(
        n=len(found),
        found=_by_kind(found, flagged),
        found_overall=float(flagged.mean()),
        false_alarms=float(_flagged(usual).mean()),
        auroc=float(roc_auc_score(truth, np.r_[far, near])),
        found_at_5_percent=_by_kind(found, beyond),
        found_at_5_percent_overall=float(beyond.mean()),
    )


def _flagged(frame: pd.DataFrame) -> np.ndarray:
    return frame["abstained_finding"].isin(OUT_OF_DOMAIN).to_numpy()


def _distance(frame: pd.DataFrame) -> Float:
    """Return distances; a picture without content is further than anything."""
    empty = frame["abstained_finding"] == Reason.NO_CONTENT
    return frame["out_of_domain"].mask(empty, 1e9).to_numpy(np.float64)


def _by_kind(found: pd.DataFrame, hit: np.ndarray) -> dict[str, float]:
    shares = pd.Series(hit).groupby(found["kind"].to_numpy(), sort=False).mean()
    return {str(kind): float(share) for kind, share in shares.items()}
