"""What the model is sure of is left out of a search, and told; all else stays."""

from __future__ import annotations

import pytest
import torch

from calcilens.inference.absent import ABSENT_BELOW, is_absent
from calcilens.inference.lesions import Answer, Finding, OutOfDomain
from calcilens.inference.pipeline import Models, run_study
from calcilens.models.abstention import Reason
from tests.inference.made import SERIES_UID, FakeModel, FakeNetwork, ct, lesion_in, study

INSIDE = OutOfDomain(0.2, flag=False)
SURE = Finding(ABSENT_BELOW / 2, abstained=False)


def test_a_sure_verdict_in_domain_is_absent() -> None:
    assert is_absent(Answer(SURE, out_of_domain=INSIDE))


@pytest.mark.parametrize(
    "said",
    [
        Answer(SURE, out_of_domain=OutOfDomain(0.9, flag=True)),
        Answer(SURE, out_of_domain=OutOfDomain()),
        Answer(Finding(ABSENT_BELOW / 2, abstained=True), out_of_domain=INSIDE),
        Answer(Finding(ABSENT_BELOW, abstained=False), out_of_domain=INSIDE),
        Answer(Finding(0.9, abstained=False), out_of_domain=INSIDE),
        Answer.abstain("no model"),
    ],
    ids=["strange", "domain unknown", "undecided", "not sure", "calcified", "no answer"],
)
def test_all_else_stays(said: Answer) -> None:
    assert not is_absent(said)


def doubter(why: Reason = Reason.ANSWERED) -> Models:
    """Models of which the one for CT sees calcification nowhere."""
    network = FakeNetwork(why=(why,) * 3)
    network.mixing.data = torch.tensor([-500.0] + [0.0] * 7)
    return Models(ct=FakeModel(network))


def test_a_place_found_by_search_is_told_with_where_it_lies_and_why() -> None:
    report = run_study(study(ct()), doubter())
    assert report.lesions == ()
    (told,) = report.skipped
    assert told.what == SERIES_UID
    assert "x 22, y -12, z 20 mm (LPS)" in told.reason
    assert "the model is sure that nothing is calcified there (probability 0.0" in told.reason


def test_a_given_lesion_is_always_reported() -> None:
    image = ct()
    report = run_study(study(image), doubter(), [(image, lesion_in(image))])
    assert len(report.lesions) == 1
    assert report.lesions[0].saliency is not None


def test_what_is_strange_to_the_model_is_reported() -> None:
    report = run_study(study(ct()), doubter(Reason.STRANGE))
    assert len(report.lesions) == 1
    assert report.skipped == ()
