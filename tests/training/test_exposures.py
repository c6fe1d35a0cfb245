"""Exposures: every kind has its donor's form, and what is taught by them tells strangers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from calcilens.models.ensemble import Ensemble, Seen
from calcilens.training import exposures as module
from calcilens.training.exposures import MAKERS, exposures, see_exposures
from calcilens.training.held_out import learn_domain
from calcilens.training.pictures import Donor
from tests.training.made import SMALL
from tests.training.test_strangers import donor

OTHER = (module.other_modality, module.other_tones)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is simulated; there is a test of its own."""
    monkeypatch.setattr(module, "MAKERS", tuple(m for m in MAKERS if m not in OTHER))


def films(count: int) -> list[Donor]:
    return [donor("radiograph", calibrated=False, number=i) for i in range(count)]


@pytest.mark.parametrize("make", [m for m in dict.fromkeys(MAKERS) if m not in OTHER])
@pytest.mark.parametrize("modality", ["CT", "radiograph"])
def test_every_kind_has_the_form_of_its_donor_and_leaves_it_alone(
    make: Callable[[np.random.Generator, Donor], np.ndarray], modality: str
) -> None:
    given = donor(modality, calibrated=False)
    before = given.sample["pixels"].copy()
    made = make(np.random.default_rng(0), given)
    assert made.shape == given.shape
    assert np.isfinite(made).all()
    assert np.ptp(made) > 0
    assert np.array_equal(given.sample["pixels"], before)


@pytest.mark.parametrize("modality", ["CT", "radiograph"])
def test_the_other_modality_is_simulated(modality: str) -> None:
    made = module.other_tones(np.random.default_rng(0), donor(modality, calibrated=False))
    assert len(np.unique(made)) > 50


@pytest.mark.usefixtures("quick")
def test_exposures_are_the_same_in_every_run_and_stored_as_their_donors() -> None:
    first, again = (list(exposures(films(9), seed=4)) for _ in range(2))
    assert all(np.array_equal(a["pixels"], b["pixels"]) for a, b in zip(first, again, strict=True))
    assert all(s["mask"] is None and s["pixels"].max() == 255 for s in first)


@pytest.mark.usefixtures("quick")
def test_only_the_first_member_looks_and_only_where_strangers_are_taught() -> None:
    network = Ensemble(SMALL | {"planes": 1}, 2, ["diffuse"]).eval()
    given = films(30)
    seen = see_exposures(network, lambda i: given[i].sample, list(range(30)), "radiograph")
    assert seen is not None
    assert len(seen.features) == 60
    assert not seen.logits[:, 0].isnan().any()
    assert seen.logits[:, 1].isnan().all()
    in_hu = Ensemble(SMALL | {"intensity": "hu_and_relative"}, 1, ["diffuse"])
    assert see_exposures(in_hu, lambda i: given[i].sample, list(range(30)), "CT") is None
    assert see_exposures(network, lambda i: given[i].sample, [0, 1], "CT") is None


def test_strangers_that_lie_close_are_found_at_the_same_false_alarms() -> None:
    network = Ensemble(SMALL, 1, ["diffuse"]).eval()
    domain, rng = network.domain, torch.Generator().manual_seed(0)
    width = domain.width + domain.beside
    assert domain.strangers is not None
    assert len(domain.strangers.centre) == width

    def lesions(n: int, shift: float) -> Seen:
        features = torch.randn(n, width, generator=rng)
        features[:, 3] += shift  # of the encoder: what is usual does not read it
        none = torch.zeros(n, dtype=torch.bool)
        return Seen(torch.zeros(n, 1, 20), features, none, none)

    seen, new = lesions(2000, 0), lesions(2000, 0)
    seen.logits[:1000] = torch.nan
    learn_domain(network, seen)
    before = (domain(lesions(500, 5).features, torch.zeros(500, dtype=torch.long)) > 1).float()
    learn_domain(network, seen, lesions(1000, 5))
    after = (domain(lesions(500, 5).features, torch.zeros(500, dtype=torch.long)) > 1).float()
    alarms = (domain(new.features, new.kind) > 1).float().mean()
    assert before.mean() < 0.15
    assert after.mean() > 0.9
    assert float(alarms) == pytest.approx(0.05, abs=0.02)
