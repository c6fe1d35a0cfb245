from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from calcilens.models.ensemble import Ensemble
from calcilens.models.saliency import TRUSTED, Explainer
from calcilens.training import saliency_trust
from calcilens.training.saliency_trust import learn_trust
from tests.training.made import SMALL, patch_batch


def ensemble(members: int = 2) -> Ensemble:
    torch.manual_seed(0)
    return Ensemble(SMALL | {"attention": True}, members).eval()


def lesion(number: int) -> dict[str, Any]:
    return {name: value[0] for name, value in patch_batch(1, seed=number).items()}


def test_the_median_of_lesions_that_a_member_was_not_taught_is_stored() -> None:
    both, calcified = ensemble(), np.array([True, True, False, True])
    asked = np.array([[True, False], [False, True], [True, True], [False, False]])
    learn_trust(both, lesion, calcified, asked)
    explainer, single = Explainer(both), []
    for i in (0, 1):
        inputs = tuple(torch.from_numpy(value)[None] for value in lesion(i).values())
        found = explainer.maps(inputs, [both.members[i]])[0]  # type: ignore[arg-type]
        single.append(explainer.trust(inputs, found))  # type: ignore[arg-type]
    assert float(both.saliency_trust) == pytest.approx(np.median(single))


def test_a_model_without_calcified_held_out_lesions_states_no_trust_and_does_not_fail() -> None:
    both = ensemble()
    learn_trust(both, lesion, np.zeros(3, bool), np.ones((3, 2), bool))
    assert both.saliency_trust.isnan()
    assert not Explainer(both).failed


def test_maps_that_ignore_what_was_learnt_fail_the_model() -> None:
    alike = ensemble(1)
    with torch.no_grad():
        for weight in alike.parameters():  # shuffling changes nothing
            weight.fill_(0.01)
    learn_trust(alike, lesion, np.ones(3, bool), np.ones((3, 1), bool))
    assert alike.saliency_trust < TRUSTED
    assert Explainer(alike).failed


def test_no_more_lesions_are_read_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saliency_trust, "LESIONS", 3)
    read: list[int] = []

    def counted(number: int) -> dict[str, Any]:
        read.append(number)
        return lesion(number)

    learn_trust(ensemble(1), counted, np.ones(9, bool), np.ones((9, 1), bool))
    assert read == [0, 4, 8]
