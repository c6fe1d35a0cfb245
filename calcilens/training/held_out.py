"""What answers to held-out lesions teach a model about itself.

Calibration, conformal sets, limits of abstention and of the domain are learnt from lesions that
the answering network was not trained on, and are kept in the weights. All but the domain are learnt
from lesions as training varies them: held-out lesions come from the same scanners as those taught,
and a network that is sure of these is too sure of the next scanner's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from calcilens.models.conformal import LEVELS, USUAL_LEVEL, class_thresholds
from calcilens.models.domain import Domain, Strangers
from calcilens.models.ensemble import Ensemble, Prediction, Seen
from calcilens.training.pattern_figures import members
from calcilens.vocabulary import PATTERN_KEYS

HEADS = ("finding", "concern")
ENOUGH = 50
"""Lesions (of each class) from which a kind of input is calibrated by itself; else by all."""
ENOUGH_OF_PATTERN = 20
"""The same for the threshold of a pattern: at 95 % coverage fewer than 19 give none."""
MOST_LOG_TEMPERATURE = 3.0
SHRINKAGE = 0.1
"""Of the covariance of what is usual, towards independence."""
LEAST_VARIANCE = 1e-4
FALSE_ALARMS = 0.05
"""Share of held-out lesions that lie beyond the limit of the domain."""
WRONG = 0.05
"""Share of wrong answers to 'calcified?' that the undecided zone shall leave."""
NARROWEST, WIDEST = 0.1, 0.4
"""Half the undecided zone, at least and at most."""

Flags = NDArray[np.bool_]
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the lesions of a `Seen`.

    Args:
        heads: (N, 2) finding and concern, 0 or 1; NaN where unknown.
        patterns: (N, 18) which patterns they show; all False where unknown.
    """

    heads: Float
    patterns: Flags

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Truth:
        """Take the truth columns of `data_manifests.schema.truth`."""
        heads = [frame[f"{head}_truth"].to_numpy(np.float64) for head in HEADS]
        shown = [keys if isinstance(keys, tuple) else () for keys in frame["pattern_truth"]]
        return cls(np.stack(heads, 1), members(shown, PATTERN_KEYS))


def learn(
    ensemble: Ensemble, seen: Seen, varied: Seen, truth: Truth, strange: Seen | None = None
) -> None:
    """Fill the state of an ensemble.

    A member is calibrated by the answers that other members gave to lesions that they had not
    been taught on, so that neither its own lessons nor the lesions that it is judged by take part.
    A single member is calibrated by its own held-out answers.

    Args:
        ensemble: Whose state is filled.
        seen: What its members made of lesions as they are; the logits of a member are NaN for
            those that it was taught on.
        varied: The same for N lesions that some member was not taught on, as training varies them.
        truth: Of these N.
        strange: What they made of `exposures`; only a domain with `Strangers` needs them.
    """
    with torch.no_grad():
        learn_calibration(ensemble, varied, truth)
        learn_sets(ensemble, varied, truth)
        learn_abstention(ensemble, varied, truth)
        learn_domain(ensemble, seen, strange)


def described(ensemble: Ensemble) -> dict[str, Any]:
    """Return what a card says of the state that was learnt."""
    state, facts = ensemble.abstention, {}
    if ensemble.sets.fitted:
        usual = ensemble.sets.thresholds[:, LEVELS.index(USUAL_LEVEL)]
        always = (usual <= 0).any(0) & ensemble.known
        facts = {
            "coverage": USUAL_LEVEL,
            "patterns_in_every_set": _keys(always),
            "largest_set_that_names_a_pattern": int(state.most),
        }
    return facts | {"undecided": [round(float(p), 3) for p in state.undecided]}


def _keys(flags: Tensor) -> list[str]:
    return [key for key, flag in zip(PATTERN_KEYS, flags.tolist(), strict=True) if flag]


def learn_calibration(ensemble: Ensemble, seen: Seen, truth: Truth) -> None:
    """Fit slope and offset (Platt 1999) and the temperature of the patterns (Guo et al. 2017)."""
    asked = ~seen.logits[:, :, 0].isnan().numpy()
    answers = seen.logits.nanmean(1).double().numpy()
    kinds, state = seen.kind.numpy(), ensemble.calibration
    for i in range(len(ensemble.members)):
        others = asked.any(1) & ~asked[:, i] if len(ensemble.members) > 1 else asked[:, i]
        for kind in range(ensemble.kinds):
            own = kinds == kind
            for h in range(len(HEADS)):
                line = _line(answers[:, h], truth.heads[:, h], others, own)
                state.slope[kind, i, h], state.offset[kind, i, h] = line
            known = ensemble.known.numpy()
            logits, shown = answers[:, 2:][:, known], truth.patterns[:, known]
            state.temperature[kind, i] = _temperature(logits, shown, others, own)


def _line(logits: Float, target: Float, rows: Flags, own: Flags) -> tuple[float, float]:
    """Return slope and offset that turn logits (N,) into log-odds; (1, 0) without both classes."""
    rows = rows & np.isfinite(target)
    rows = rows & own if all((target[rows & own] == c).sum() >= ENOUGH for c in (0, 1)) else rows
    if len(np.unique(target[rows])) < 2:
        return 1.0, 0.0
    fit = LogisticRegression(C=1e6).fit(logits[rows, None], target[rows])
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def _temperature(logits: Float, shown: Flags, rows: Flags, own: Flags) -> float:
    """Return the temperature under which the true patterns together are likeliest."""
    rows = rows & shown.any(1)
    rows = rows & own if (rows & own).sum() >= ENOUGH else rows
    if rows.sum() < ENOUGH:
        return 1.0
    table, true = torch.from_numpy(logits[rows]), torch.from_numpy(shown[rows])

    def loss(log_temperature: float) -> float:
        chances = (table / np.exp(log_temperature)).log_softmax(1)
        return -float(chances.masked_fill(~true, -torch.inf).logsumexp(1).mean())

    ends = (-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def learn_sets(ensemble: Ensemble, held: Seen, truth: Truth) -> None:
    """Take the thresholds of the conformal sets; no pattern at all leaves the model without."""
    if not truth.patterns.any():
        return
    probability = ensemble.judge(held).pattern.double().numpy()
    kinds = held.kind.numpy()
    for kind in range(ensemble.kinds):
        own = truth.patterns & (kinds == kind)[:, None]
        enough = own.sum(0) >= ENOUGH_OF_PATTERN
        shown = np.where(enough, own, truth.patterns)
        for place, level in enumerate(LEVELS):
            found = torch.from_numpy(class_thresholds(probability, shown, level))
            ensemble.sets.thresholds[kind, place] = found


def learn_abstention(ensemble: Ensemble, held: Seen, truth: Truth) -> None:
    """Choose between which probabilities a finding is undecided, and which sets say nothing."""
    said = ensemble.judge(held)
    half = _undecided(said.finding.double().numpy(), truth.heads[:, 0])
    ensemble.abstention.undecided.copy_(torch.tensor([0.5 - half, 0.5 + half]))
    if ensemble.sets.fitted:
        ensemble.abstention.most.fill_(_most(said, truth.patterns))


def _undecided(probability: Float, target: Float) -> float:
    """Return half the narrowest zone around 0.5 outside of which few answers are wrong."""
    known = np.isfinite(target)
    distance = np.abs(probability[known] - 0.5)
    wrong = (probability[known] >= 0.5) != (target[known] == 1)
    for half in np.linspace(NARROWEST, WIDEST, 31):
        decided = distance >= half
        if not decided.any() or wrong[decided].mean() <= WRONG:
            return float(half)
    return WIDEST


def _most(said: Prediction, shown: Flags) -> int:
    """Return the largest size of sets whose likeliest pattern is still mostly right."""
    rows = shown.any(1)
    size = said.pattern_set.sum(1).numpy()[rows]
    first = said.pattern.argmax(1).numpy()[rows]
    right = shown[rows][np.arange(len(first)), first]
    for n in range(2, len(PATTERN_KEYS) + 1):
        large = size >= n
        if large.sum() < ENOUGH_OF_PATTERN:
            return len(PATTERN_KEYS)
        if right[large].mean() < 0.5:
            return n - 1
    return len(PATTERN_KEYS)


def learn_domain(ensemble: Ensemble, seen: Seen, strange: Seen | None = None) -> None:
    """Learn what is usual from the first member's lessons, and the limit from the others."""
    domain, held = ensemble.domain, ~seen.logits[:, 0, 0].isnan()
    anything = torch.ones_like(held)
    for kind in range(ensemble.kinds):
        taught = _enough(~held & (seen.kind == kind), ~held, anything)
        rows = seen.features[taught, -domain.width :].double()
        covariance = torch.cov(rows.T)
        independent = covariance.diagonal().clamp(min=LEAST_VARIANCE).diag()
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * independent
        domain.mean[kind] = rows.mean(0)
        domain.precision[kind] = torch.linalg.inv(shrunk)
    domain.scale.fill_(1)
    distance = domain.away(seen.features, seen.kind)
    for kind in range(ensemble.kinds):
        judged = _enough(held & (seen.kind == kind), held, anything)
        domain.scale[kind] = distance[judged].quantile(1 - FALSE_ALARMS)
    if domain.strangers is not None and strange is not None:
        rows, judged = _enough(~held, anything), _enough(held, anything)
        taken = (seen.features[rows], seen.features[judged], strange.features)
        _learn_strangers(domain, domain.strangers, *taken)
    domain.limit.fill_(1)


@torch.no_grad()
def _learn_strangers(
    domain: Domain, told: Strangers, taught: Tensor, judged: Tensor, strange: Tensor
) -> None:
    """Tell lessons (N, W) from strangers (M, W); held-out lessons (K, W) place the limit.

    From the median of these to the limit the log distance rises as far as that from what is
    usual, so that neither of the two has the say alone.
    """
    told.centre.copy_(taught.mean(0))
    told.spread.copy_(taught.std(0).clamp(min=LEAST_VARIANCE**0.5))
    rows = told.standardised(torch.cat([taught, strange])).double().numpy()
    is_strange = np.repeat([0, 1], [len(taught), len(strange)])
    fit = MLPClassifier((told.HIDDEN,), alpha=0.01, early_stopping=True, random_state=0)
    fit.fit(rows, is_strange)
    layers = (told.hidden, told.out)
    for layer, weight, bias in zip(layers, fit.coefs_, fit.intercepts_, strict=True):
        layer.weight.copy_(torch.from_numpy(weight.T))
        layer.bias.copy_(torch.from_numpy(bias))
    kind = torch.zeros(len(judged), dtype=torch.long)
    ends = torch.tensor([0.5, 1 - FALSE_ALARMS])
    usual = domain.away(judged, kind).log().quantile(ends)
    logits = told.logit(judged).quantile(ends)
    told.slope.copy_((usual[1] - usual[0]) / (logits[1] - logits[0]).clamp(min=1e-6))
    told.offset.copy_(usual[1] - told.slope * logits[1])
    both = domain(judged, kind).quantile(1 - FALSE_ALARMS)
    domain.scale *= both
    told.offset -= both.log()


def _enough(*choices: Tensor) -> Tensor:
    """Return the first set of rows that has enough of them, or the last."""
    return next((rows for rows in choices if rows.sum() >= ENOUGH), choices[-1])
