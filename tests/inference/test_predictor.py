"""Answers: probabilities where the model can say something, the reason where it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from calcilens.imaging.images import Volume
from calcilens.imaging.patches import PatchSpec
from calcilens.inference.change import Change, Kind, Level
from calcilens.inference.lesions import Answer, Concern, Finding, Lesion
from calcilens.inference.pipeline import (
    MOST_LESIONS,
    NO_RADIOGRAPH_MODEL,
    Models,
    _urgency,
    run_study,
)
from calcilens.inference.predictor import WORDS, PatchInput, answer, patch_input
from calcilens.models.abstention import Reason
from calcilens.models.ensemble import Ensemble
from tests.inference.made import FakeModel, FakeNetwork, card, ct, film, lesion_in, study
from tests.inference.reports import reported


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
    assert said.concern.model_reasons[1] == "likeliest pattern if calcified: Diffuse"


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


FAR = Reason.STRANGE


def test_a_lesion_out_of_domain_gets_no_verdict_but_keeps_its_numbers() -> None:
    model = FakeModel(FakeNetwork(why=(FAR, FAR, FAR)))
    said = answer(model, cut(model))
    assert said.out_of_domain.flag is True
    for head in (said.finding, said.pattern):
        assert head.abstained
        assert str(head.why).startswith("out of domain: what is in")
    assert said.finding.probability is not None
    assert (said.concern.probability, said.concern.level) == (None, "unknown")
    assert "out of domain" in said.concern.model_reasons[0]
    assert answer(FakeModel(), cut(model)).out_of_domain.flag is False


def test_a_model_that_was_not_taught_what_is_usual_flags_nothing() -> None:
    model = FakeModel(Ensemble({}).eval())
    said = answer(model, cut(model)).out_of_domain
    assert (said.score, said.flag) == (None, None)


def test_an_undecided_finding_keeps_its_probability_and_says_why() -> None:
    none = Reason.ANSWERED
    model = FakeModel(FakeNetwork(why=(Reason.UNDECIDED, none, none)))
    said = answer(model, cut(model))
    assert said.finding.abstained
    assert said.finding.probability is not None
    assert str(said.finding.why).startswith("undecided")
    assert not said.pattern.abstained
    assert said.concern.probability is not None


@pytest.mark.parametrize("why", [Reason.NOT_CALCIFIED, Reason.NO_PATTERN, Reason.TOO_MANY])
def test_a_pattern_that_cannot_be_named_says_why_and_concern_does_not_lean_on_it(
    why: Reason,
) -> None:
    model = FakeModel(FakeNetwork(inside=[], why=(Reason.ANSWERED, why, Reason.ANSWERED)))
    said = answer(model, cut(model))
    assert said.pattern.abstained
    assert said.pattern.why
    assert not said.finding.abstained
    assert not any("pattern" in reason for reason in said.concern.model_reasons)


def test_the_set_is_the_conformal_one_in_the_order_of_probability_with_its_coverage() -> None:
    model = FakeModel(FakeNetwork(inside=["laminated", "central"]))
    said = answer(model, cut(model)).pattern
    assert said.set == ["central", "laminated"]
    assert said.coverage == 0.9


def test_every_reason_has_its_words() -> None:
    assert set(WORDS) == set(Reason) - {Reason.ANSWERED}


def test_a_patch_that_is_all_one_value_is_not_judged() -> None:
    image = ct()
    blank = Volume(np.full_like(image.hu, 7), image.affine, "1", "2", None, image.planes)
    model = FakeModel(Ensemble({}).eval())
    given = patch_input(blank, lesion_in(blank), model.spec)
    assert isinstance(given, PatchInput)
    said = answer(model, given)
    assert said.finding.probability is None
    assert "the same value" in str(said.finding.why)
    assert said.concern.level == "unknown"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_patches_with_values_that_are_no_numbers_are_not_judged(value: float) -> None:
    image = ct()
    hu = np.full(image.hu.shape, value, np.float32)
    broken = Volume(hu, image.affine, "1", "2", None, image.planes)
    found = patch_input(broken, lesion_in(broken), FakeModel().spec)
    assert isinstance(found, str)
    assert "not numbers" in found


def test_ct_is_cut_in_hu_and_a_radiograph_is_not() -> None:
    spec = PatchSpec(1, 64, "hu_and_relative")
    for image, known in ((ct(), True), (film(), False)):
        given = patch_input(image, lesion_in(image), spec)
        assert isinstance(given, PatchInput)
        assert bool(given.pixels[:, 1:].any()) is known


def test_the_patch_lies_around_the_plane_that_shows_most_of_the_lesion() -> None:
    image, spec = ct(), PatchSpec(1, 32)
    place = lesion_in(image)
    mask = np.zeros(place.box[1] - place.box[0], bool)
    mask[-1] = True
    given = patch_input(image, replace(place, mask=mask), spec)
    assert isinstance(given, PatchInput)
    assert given.location.planes == (place.box[1, 0] - 1,)


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


def test_lesions_without_an_answer_and_changed_ones_stand_before_those_of_low_concern() -> None:
    sure, (lesion,) = Finding(0.9, abstained=False), reported().lesions

    def one(level: str, concern: float | None, change: Level | None = None) -> Lesion:
        told = None if change is None else Change("1.2.3", Kind.UNKNOWN, change)
        return replace(lesion, answer=Answer(sure, concern=Concern(concern, level)), change=told)

    ordered = [
        one("high", 0.9, Level.STABLE),
        one("high", 0.8, Level.RAPID),
        one("intermediate", 0.5),
        one("low", 0.1, Level.RAPID),
        one("unknown", None, Level.NEW),
        one("unknown", None, Level.NOT_COMPARABLE),
        one("low", 0.2, Level.GROWN),
        one("low", 0.1, Level.STABLE),
    ]
    assert sorted(reversed(ordered), key=_urgency) == ordered
