"""What is usual, and the facts that give a stranger its reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calcilens.imaging.patches import PatchSpec
from calcilens.models.abstention import OUT_OF_DOMAIN, REASONS, Reason
from calcilens.models.domain import BANDS, HU_EDGES, Domain, hu_bands, is_metal
from calcilens.models.ensemble import Ensemble
from tests.training.made import SMALL

SPEC = PatchSpec(3, 32, "hu_and_relative")


def scaled(hu: np.ndarray) -> torch.Tensor:
    """Return a patch (1, 9, 32, 32) of planes that are all the same."""
    return torch.from_numpy(SPEC.scale(np.broadcast_to(hu, (3, 32, 32)).astype(np.float32)))[None]


def tissue(seed: int = 0) -> np.ndarray:
    """Fat, muscle and air with noise."""
    rng = np.random.default_rng(seed)
    hu = np.full((32, 32), 55.0)
    hu[:8], hu[:, :8] = -100, -1000
    return hu + rng.normal(0, 5, hu.shape)


@pytest.mark.parametrize("place", range(BANDS))
def test_bands_are_the_shares_of_hu_between_their_edges(place: int) -> None:
    ends = np.array([-1020, *HU_EDGES, 3000])
    inside = (ends[place] + ends[place + 1]) / 2
    hu = np.full((32, 32), inside)
    hu[:8] = ends[(place + 3) % BANDS] + 5
    share = hu_bands(scaled(hu), 3).exp()[0]
    assert float(share[place]) == pytest.approx(0.75, abs=0.002)
    assert float(share.sum()) == pytest.approx(1, abs=0.02)


def test_metal_is_told_from_tissue() -> None:
    implant = tissue()
    implant[10:20] = 6000
    assert is_metal(
        torch.cat([hu_bands(scaled(hu), 3) for hu in (tissue(), implant)])
    ).tolist() == [
        False,
        True,
    ]


def test_distance_grows_with_the_way_from_the_mean_and_kinds_have_their_own() -> None:
    domain, features = Domain(2, 4), torch.ones(2, 4) * torch.tensor([[1.0], [2.0]])
    domain.mean[1] = 2
    assert domain(features, torch.tensor([0, 0])).tolist() == [1, 4]
    assert domain(features, torch.tensor([1, 1])).tolist() == [1, 0]
    domain.scale[0] = 2
    assert domain(features, torch.tensor([0, 1])).tolist() == [0.5, 0]


def reasons(limit: float, *patches: np.ndarray) -> list[Reason]:
    torch.manual_seed(0)
    made = Ensemble(SMALL | {"intensity": "hu_and_relative"}).eval()
    made.domain.limit.fill_(limit)
    pixels = torch.cat([scaled(hu) for hu in patches])
    box = torch.tensor([[8.0, 8, 20, 20]]).repeat(len(pixels), 1)
    said = made.predict(pixels, box, torch.full((len(pixels), 3), 10.0))
    assert (said.why == said.why[:, :1]).all() or limit == torch.inf
    return [REASONS[code] for code in said.why[:, 0].tolist()]


def test_what_lies_beyond_the_limit_gets_the_reason_that_fits() -> None:
    implant, blank = tissue(), np.full((32, 32), 7.0)
    implant[10:20] = 6000
    found = reasons(1e-9, tissue(), implant, blank)
    wanted = [Reason.STRANGE, Reason.METAL, Reason.NO_CONTENT]
    assert found == wanted
    assert set(wanted) <= set(OUT_OF_DOMAIN)


def test_without_a_limit_only_a_blank_patch_is_out_of_domain() -> None:
    found = reasons(torch.inf, tissue(), np.full((32, 32), 7.0))
    assert found[0] not in OUT_OF_DOMAIN
    assert found[1] == Reason.NO_CONTENT
