"""What held-out answers teach: held against scikit-learn, and never learnt from own lessons."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from calcilens.models.ensemble import Ensemble, Seen
from calcilens.training import held_out
from calcilens.training.held_out import Truth, learn
from calcilens.vocabulary import PATTERN_KEYS
from tests.training.made import SMALL

KNOWN = ["diffuse", "central", "laminated", "popcorn"]
HU = SMALL | {"intensity": "hu_and_relative"}
N = 3000


def ensemble(members: int = 1, network: dict[str, Any] | None = None) -> Ensemble:
    return Ensemble(network or SMALL, members, KNOWN).eval()


def seen_by(made: Ensemble, logits: Tensor, seed: int = 0, hu: Tensor | None = None) -> Seen:
    """Wrap logits (N, M, 20) in what the networks saw besides."""
    generator = torch.Generator().manual_seed(seed)
    n, width = len(logits), made.domain.beside + made.domain.width
    features = torch.randn(n, width, generator=generator)
    none = torch.zeros(n, dtype=torch.bool)
    return Seen(logits, features, none if hu is None else hu, none)


def drawn(seed: int, members: int = 1, n: int = N) -> tuple[Tensor, Truth]:
    """Logits that a calibrated network would give, and a truth drawn from them."""
    rng = np.random.default_rng(seed)
    two = rng.normal(0, 1.5, (n, 2))
    heads = (rng.random((n, 2)) < 1 / (1 + np.exp(-two))).astype(float)
    pattern = np.full((n, len(PATTERN_KEYS)), -9.0)
    pattern[:, [PATTERN_KEYS.index(k) for k in KNOWN]] = rng.normal(0, 1.5, (n, 4))
    chances = torch.from_numpy(pattern[:, [PATTERN_KEYS.index(k) for k in KNOWN]]).softmax(1)
    picks = (chances.numpy().cumsum(1) < rng.random((n, 1))).sum(1).clip(max=3)
    shown = np.zeros((n, len(PATTERN_KEYS)), bool)
    shown[np.arange(n), [PATTERN_KEYS.index(KNOWN[i]) for i in picks]] = True
    logits = torch.from_numpy(np.concatenate([two, pattern], 1)).float()
    return logits[:, None].repeat(1, members, 1), Truth(heads, shown)


class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """A classifier whose decision is its input."""

    def fit(self, x: Any, y: Any) -> Fixed:
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, x: Any) -> Any:
        return x

    def predict(self, x: Any) -> Any:
        return self.classes_[x.argmax(1)]


def taught(made: Ensemble, seen: Seen, truth: Truth) -> None:
    """Let an ensemble learn from lesions that no variation changes."""
    learn(made, seen, seen, truth)


def test_overconfident_answers_become_frequencies() -> None:
    made, (logits, truth) = ensemble(), drawn(0)
    loud = logits.clone()
    loud[:, :, :2] = 3 * logits[:, :, :2] + 1
    loud[:, :, 2:] = 3 * logits[:, :, 2:]
    taught(made, seen_by(made, loud), truth)
    state = made.calibration
    assert state.slope[0, 0].tolist() == pytest.approx([1 / 3, 1 / 3], abs=0.04)
    assert state.offset[0, 0].tolist() == pytest.approx([-1 / 3, -1 / 3], abs=0.1)
    assert float(state.temperature[0, 0]) == pytest.approx(3, abs=0.2)


def test_the_temperature_equals_that_of_scikit_learn() -> None:
    made, (logits, truth) = ensemble(), drawn(1)
    loud = logits * 2.2
    held_out.learn_calibration(made, seen_by(made, loud), truth)
    decisions, labels = loud[:, 0, 2:].numpy(), truth.patterns.argmax(1)
    used = np.unique(labels)
    frozen = FrozenEstimator(Fixed().fit(decisions[:, used], labels))
    reference = CalibratedClassifierCV(frozen, method="temperature").fit(decisions[:, used], labels)
    beta = float(reference.calibrated_classifiers_[0].calibrators[0].beta_)
    assert float(made.calibration.temperature[0, 0]) == pytest.approx(1 / beta, rel=2e-3)


def test_of_several_true_patterns_naming_any_is_right() -> None:
    (logits, truth), found = drawn(2), []
    for shown in (truth.patterns, truth.patterns | (logits[:, 0, 2:] > 1).numpy()):
        made = ensemble()
        held_out.learn_calibration(made, seen_by(made, logits), Truth(truth.heads, shown))
        found.append(float(made.calibration.temperature[0, 0]))
    assert found[1] < found[0]  # right more often: may be surer


def test_a_member_learns_nothing_from_the_lesions_that_it_is_judged_by() -> None:
    logits, truth = drawn(3, members=3)
    fold = torch.arange(N) % 3
    logits[fold[:, None] != torch.arange(3)] = torch.nan

    def fitted(table: Tensor, known: Truth) -> Tensor:
        made = ensemble(3)
        taught(made, seen_by(made, table), known)
        state = made.calibration
        return torch.cat([state.slope[0, 1], state.offset[0, 1], state.temperature[0, 1:2]])

    first, own = fitted(logits, truth), (fold == 1).numpy()
    heads, patterns, moved = truth.heads.copy(), truth.patterns.copy(), logits.clone()
    heads[own], patterns[own] = 1 - heads[own], np.roll(patterns[own], 1, 0)
    moved[fold == 1, 1] += torch.linspace(-5, 5, 20)
    assert torch.equal(fitted(moved, Truth(heads, patterns)), first)
    heads[~own] = 1 - heads[~own]
    assert not torch.equal(fitted(logits, Truth(heads, patterns)), first)


def test_each_kind_of_input_is_calibrated_by_itself_where_it_has_enough_lesions() -> None:
    logits, truth = drawn(4)
    hu = torch.arange(N) % 2 == 1
    logits[hu] *= 2
    made = ensemble(network=HU)
    taught(made, seen_by(made, logits, hu=hu), truth)
    assert made.calibration.slope[:, 0, 0].tolist() == pytest.approx([1, 0.5], abs=0.1)
    assert made.calibration.temperature[:, 0].tolist() == pytest.approx([1, 2], abs=0.2)
    assert not torch.equal(made.sets.thresholds[0], made.sets.thresholds[1])

    few = torch.arange(N) < held_out.ENOUGH // 2
    made, once = ensemble(network=HU), ensemble()
    taught(made, seen_by(made, logits, hu=~few), truth)
    taught(once, seen_by(once, logits), truth)
    assert torch.equal(made.calibration.slope[0], once.calibration.slope[0])


def test_a_model_is_as_sure_as_it_may_be_of_varied_lesions_and_knows_those_as_they_are() -> None:
    made, plain, varied = ensemble(), ensemble(), ensemble()
    logits, truth = drawn(11)
    sure, unsure = seen_by(made, logits * 4), seen_by(made, logits * 2, seed=1)
    learn(made, sure, unsure, truth)
    taught(plain, sure, truth)
    taught(varied, unsure, truth)
    for name in ("calibration", "sets", "abstention"):
        state, wanted = (getattr(e, name).state_dict() for e in (made, varied))
        assert all(torch.equal(state[k], wanted[k]) for k in wanted)
    assert torch.equal(made.domain.mean, plain.domain.mean)
    assert not torch.equal(made.domain.mean, varied.domain.mean)


def test_without_labels_nothing_is_changed() -> None:
    made, (logits, _) = ensemble(), drawn(5)
    nothing = Truth(np.full((N, 2), np.nan), np.zeros((N, len(PATTERN_KEYS)), bool))
    taught(made, seen_by(made, logits), nothing)
    fresh = ensemble().calibration.state_dict()
    assert all(torch.equal(v, fresh[k]) for k, v in made.calibration.state_dict().items())
    assert not made.sets.fitted


def test_sets_of_a_taught_model_cover_new_lesions_and_never_hold_an_unknown_pattern() -> None:
    made, (logits, truth) = ensemble(), drawn(6)
    taught(made, seen_by(made, logits), truth)
    logits, truth = drawn(7)
    said = made.judge(seen_by(made, logits))
    inside = said.pattern_set.numpy()
    assert inside[truth.patterns].mean() == pytest.approx(0.9, abs=0.02)
    assert not said.pattern_set[:, ~made.known].any()
    sizes = [made.judge(seen_by(made, logits), level).pattern_set.sum() for level in (0.8, 0.95)]
    assert sizes[0] < said.pattern_set.sum() < sizes[1]


def test_the_card_says_what_was_learnt() -> None:
    made, (logits, truth) = ensemble(), drawn(10)
    assert held_out.described(made) == {"undecided": [0.5, 0.5]}
    rare = np.flatnonzero(truth.patterns[:, PATTERN_KEYS.index("popcorn")])[8:]
    truth.patterns[rare] = False
    taught(made, seen_by(made, logits), truth)
    said = held_out.described(made)
    assert (said["coverage"], said["patterns_in_every_set"]) == (0.9, ["popcorn"])
    assert said["undecided"][0] < 0.5 < said["undecided"][1]
    assert 1 <= said["largest_set_that_names_a_pattern"] <= len(PATTERN_KEYS)


def test_the_undecided_zone_leaves_few_wrong_answers_and_is_no_wider_than_needed() -> None:
    rng = np.random.default_rng(8)
    probability = rng.random(20_000)
    sharp = np.clip((probability - 0.5) * 4 + 0.5, 0, 1)
    zone = partial(held_out._undecided, probability)
    half = zone((rng.random(20_000) < sharp).astype(float))
    assert 0.1 <= half < 0.25
    assert zone((probability > 0.5).astype(float)) == held_out.NARROWEST
    assert zone((rng.random(20_000) < 0.5).astype(float)) == pytest.approx(held_out.WIDEST)


def test_one_in_twenty_held_out_lesions_lies_beyond_the_limit_and_a_stranger_far_beyond() -> None:
    logits, truth = drawn(9, members=2)
    fold = torch.arange(N) % 2
    logits[fold[:, None] != torch.arange(2)] = torch.nan
    made = ensemble(2)
    seen = seen_by(made, logits)
    taught(made, seen, truth)
    held = made.judge(Seen(*(part[fold == 0] for part in seen)))
    assert (held.out_of_domain > made.domain.limit).float().mean() == pytest.approx(0.05, abs=0.002)
    assert (made.judge(seen._replace(features=seen.features * 4)).out_of_domain > 3).all()
