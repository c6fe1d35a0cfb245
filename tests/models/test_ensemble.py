from __future__ import annotations

import torch
from torch import Tensor

from calcilens.models.ensemble import Ensemble
from calcilens.vocabulary import PATTERN_KEYS
from tests.training.made import SMALL, patch_batch

KNOWN = ["diffuse", "popcorn"]


def inputs(count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    batch = patch_batch(count)
    pixels, box, extent = (torch.from_numpy(batch[k]) for k in ("pixels", "box", "extent_mm"))
    return pixels, box, extent


def ensemble(members: int = 2, known: list[str] | None = None) -> Ensemble:
    torch.manual_seed(0)
    return Ensemble(SMALL, members, KNOWN if known is None else known).eval()


def test_pattern_probabilities_sum_to_one_over_the_known_ones_and_others_get_none() -> None:
    said = ensemble().predict(*inputs())
    known = torch.tensor([key in KNOWN for key in PATTERN_KEYS])
    torch.testing.assert_close(said.pattern[:, known].sum(1), torch.ones(3))
    assert (said.pattern[:, ~known] == 0).all()


def test_a_model_that_knows_no_pattern_names_none() -> None:
    assert (ensemble(known=[]).predict(*inputs()).pattern == 0).all()


def test_the_answer_is_the_mean_of_the_members_calibrated_log_odds() -> None:
    both, batch = ensemble(), inputs()
    both.calibration.slope.copy_(torch.tensor([[[2.0, 1.0], [0.5, 3.0]]]))
    both.calibration.offset.copy_(torch.tensor([[[0.1, 0.2], [-1.0, 0.0]]]))
    with torch.no_grad():
        one, two = (member(*batch) for member in both.members)
        said = both(*batch)
    wanted = (2.0 * one.finding + 0.1 + 0.5 * two.finding - 1.0) / 2
    torch.testing.assert_close(said.finding, wanted)
    torch.testing.assert_close(said.concern, (one.concern + 0.2 + 3.0 * two.concern) / 2)


def test_only_trusted_members_answer_and_without_any_there_is_no_number() -> None:
    both, batch = ensemble(), inputs()
    trusted = torch.tensor([[True, False], [False, True], [False, False]])
    with torch.no_grad():
        said = both(*batch, trusted).finding
        one, two = (both.members[i](*batch).finding for i in (0, 1))
    torch.testing.assert_close(said[:2], torch.stack([one[0], two[1]]))
    assert said[2].isnan()


def test_everything_that_a_prediction_depends_on_travels_with_the_weights() -> None:
    first, other = ensemble(), ensemble(known=list(PATTERN_KEYS))
    with torch.no_grad():
        first.calibration.slope.mul_(1.7)
        first.calibration.temperature.mul_(0.6)
        first.sets.thresholds.fill_(0.4)
        first.domain.scale.fill_(1e-9)
        first.domain.limit.fill_(1)
        first.abstention.undecided.copy_(torch.tensor([0.01, 0.99]))
        first.first.profile.centre.fill_(0.3)
    other.load_state_dict(first.state_dict())
    for a, b in zip(first.predict(*inputs()), other.predict(*inputs()), strict=True):
        assert torch.equal(a, b)
