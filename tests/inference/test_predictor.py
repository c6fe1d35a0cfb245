"""Answers: probabilities where the model can say something, the reason where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calcilens.imaging.images import Volume
from calcilens.inference.pipeline import MOST_LESIONS, NO_RADIOGRAPH_MODEL, Models, run_study
from calcilens.inference.predictor import PatchInput, answer, patch_input
from tests.inference.made import FakeModel, FakeNetwork, card, ct, film, lesion_in, study


def cut(model: FakeModel) -> PatchInput:
    image = ct()
    given = patch_input(image, lesion_in(image), model.spec)
    assert isinstance(given, PatchInput)
    return given


def test_a_lesion_gets_all_three_answers() -> None:
    model = FakeModel(card=card(concern_thresholds=[0.3, 0.95]))
    said = answer(model, cut(model))
    assert said.finding.probability == pytest.approx(
        float(model.network.predict(*cut(model).tensors).finding.detach())
    )
    assert not said.finding.abstained
    assert said.pattern.set == ["diffuse", "central"]
    assert sum(said.pattern.probabilities.values()) == pytest.approx(1)
    assert said.concern.level == "intermediate"
    assert "between the model's limits 0.30 and 0.95" in said.concern.model_reasons[0]
    assert "benign-appearing" in said.concern.model_reasons[1]


def test_a_head_that_was_not_trained_does_not_answer() -> None:
    model = FakeModel(card=card(heads=["finding"]))
    said = answer(model, cut(model))
    assert said.finding.probability is not None
    assert said.pattern.abstained
    assert said.pattern.why is not None
    assert "not trained" in said.pattern.why
    assert said.concern.probability is None
    assert said.concern.level == "unknown"


def test_a_model_that_knows_one_pattern_does_not_choose_among_patterns() -> None:
    model = FakeModel(card=card(patterns=["diffuse"]))
    assert answer(model, cut(model)).pattern.abstained


def test_a_lesion_out_of_domain_is_flagged_beside_its_numbers() -> None:
    model = FakeModel(card=card(out_of_domain_limit=-1.0))
    said = answer(model, cut(model))
    assert said.out_of_domain.flag is True
    assert said.finding.probability is not None
    assert said.concern.probability is None
    assert said.concern.level == "unknown"
    usual = FakeModel(card=card(out_of_domain_limit=1e9))
    assert answer(usual, cut(usual)).out_of_domain.flag is False


@pytest.mark.parametrize(
    ("value", "reason"), [(7.0, "the same value"), (np.nan, "not numbers"), (np.inf, "not numbers")]
)
def test_patches_without_content_are_not_judged(value: float, reason: str) -> None:
    image = ct()
    hu = np.full(image.hu.shape, value, np.float32)
    broken = Volume(hu, image.affine, "1", "2", None, image.planes)
    found = patch_input(broken, lesion_in(broken), FakeModel().spec)
    assert isinstance(found, str)
    assert reason in found


def test_a_number_that_is_none_is_not_reported() -> None:
    class Broken(FakeNetwork):
        def predict(self, *given: torch.Tensor) -> object:  # type: ignore[override]
            said = super().predict(*given)
            return said._replace(finding=said.finding * np.nan)

    model = FakeModel(Broken())
    assert answer(model, cut(model)).finding.why == "the model gave no number"


def test_a_ct_model_never_judges_a_radiograph() -> None:
    image = film()
    models = Models(ct=FakeModel())
    report = run_study(study(image), models, [(image, lesion_in(image))])
    said = report.lesions[0].answer
    assert said.finding.why == NO_RADIOGRAPH_MODEL
    assert said.model is None
    assert report.lesions[0].saliency is None
    assert report.lesions[0].box_px == [[30, 40], [50, 60]]


def test_ct_is_searched_where_no_lesion_is_given() -> None:
    report = run_study(study(ct()), Models(ct=FakeModel()))
    assert len(report.lesions) == 1
    assert report.lesions[0].sop_uids == [f"1.2.826.1.1.{i}" for i in range(3, 8)]


def test_more_candidates_than_are_reported_are_counted_in_words() -> None:
    image = ct((12, 400, 400))
    hu = image.hu.copy()
    for y in range(30, 330, 50):
        for x in range(30, 330, 50):
            hu[5:7, y : y + 4, x : x + 4] = 600
    crowded = Volume(hu, image.affine, "1.2.826.1", "1.2.826.1.1", None, image.planes)
    report = run_study(study(crowded), Models())
    assert len(report.lesions) == MOST_LESIONS
    assert f"the {MOST_LESIONS} with most mineral" in report.skipped[0].reason


def test_lesions_are_the_same_in_every_run() -> None:
    first, again = (run_study(study(ct()), Models(ct=FakeModel())) for _ in range(2))
    assert [x.tracking_uid for x in first.lesions] == [x.tracking_uid for x in again.lesions]
    assert [x.answer for x in first.lesions] == [x.answer for x in again.lesions]
