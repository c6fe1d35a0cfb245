from __future__ import annotations

import pytest
import torch
from torch import Tensor

from calcilens.models.classifier import LesionClassifier
from calcilens.models.ensemble import Ensemble
from calcilens.models.saliency import (
    ATTENTION,
    HIRESCAM,
    Explainer,
    Inputs,
    _ssim,
    attention_map,
    cam,
    likeness,
    positive,
    shuffled,
)
from tests.training.made import SMALL, patch_batch


def inputs(count: int = 3) -> Inputs:
    batch = patch_batch(count)
    pixels, box, extent = (torch.from_numpy(batch[k]) for k in ("pixels", "box", "extent_mm"))
    return pixels, box, extent


def network(attention: bool = False) -> LesionClassifier:
    torch.manual_seed(0)
    return LesionClassifier(3, 32, lesion_px=32, context_px=32, attention=attention).eval()


def outside(window: Tensor, size: int) -> Tensor:
    """Which pixels (B, S, S) have their centre outside windows (B, 4)."""
    at = torch.arange(size) + 0.5
    y, x = at[None, :, None], at[None, None, :]
    y0, x0, y1, x1 = (edge[:, None, None] for edge in window.unbind(1))
    return (y < y0) | (y > y1) | (x < x0) | (x > x1)


def test_networks_without_attention_are_explained_by_hirescam() -> None:
    assert Explainer(network()).method == HIRESCAM
    assert Explainer(network(attention=True)).method == ATTENTION


@pytest.mark.parametrize("attention", [False, True])
def test_a_lesion_has_the_same_map_alone_and_in_a_batch(attention: bool) -> None:
    explainer, batch = Explainer(network(attention=attention)), inputs()
    together = explainer.maps(batch)
    alone = [
        explainer.maps((p[i : i + 1], b[i : i + 1], e[i : i + 1]))
        for i in range(3)
        for p, b, e in [batch]
    ]
    torch.testing.assert_close(torch.cat(alone), together, atol=1e-3, rtol=0)


def test_attention_is_dark_outside_the_window_and_a_probability_inside() -> None:
    net, batch = network(attention=True), inputs()
    found = attention_map(net, batch)
    beyond = outside(net.windows(batch[1], batch[2])[0], 32)
    assert beyond.any()
    assert (found[beyond] == 0).all()
    assert (found[~beyond] > 0).all()
    assert found.max() < 1


def test_influence_adds_up_to_the_gradient_times_the_features() -> None:
    net = network()
    box, extent = torch.tensor([[8.0, 8.0, 24.0, 24.0]]), torch.full((1, 3), 64.0)
    whole = (inputs(1)[0], box, extent)
    watched: list[Tensor] = []
    with net.deepest.register_forward_hook(lambda *call: watched.append(call[-1])):
        finding = net(*whole).finding.sum()
    slopes = torch.autograd.grad(finding, watched)
    wanted = sum(float((f * s).detach().sum()) for f, s in zip(watched, slopes, strict=True))
    spread = cam(net, whole)
    windows = net.windows(*whole[1:])
    assert all(w.min() >= 0 and w.max() <= 32 for w in windows)  # nothing falls off the patch
    assert float(spread.sum()) == pytest.approx(wanted, rel=0.1, abs=1e-3)


def test_the_map_of_an_ensemble_is_the_mean_of_its_members() -> None:
    torch.manual_seed(0)
    both, batch = Ensemble(SMALL | {"attention": True}, 2).eval(), inputs()
    explainer = Explainer(both)
    one, two = (attention_map(member, batch) for member in both.members)
    torch.testing.assert_close(explainer.maps(batch), positive((one + two) / 2))
    torch.testing.assert_close(explainer.maps(batch, [both.members[1]]), positive(two))


def test_explaining_changes_neither_weights_nor_hooks() -> None:
    net = network()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    explainer = Explainer(net)
    explainer.trust(inputs(1), explainer.maps(inputs(1))[0])
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert not net.deepest._forward_hooks


def test_shuffling_keeps_the_numbers_and_loses_their_places() -> None:
    net = network()
    for mine, other in zip(net.parameters(), shuffled(net).parameters(), strict=True):
        assert torch.equal(mine.flatten().sort()[0], other.flatten().sort()[0])
    weight = "encoder._conv_stem.weight"
    assert not torch.equal(net.get_parameter(weight), shuffled(net).get_parameter(weight))


def test_likeness_is_one_for_equal_maps_and_small_for_others() -> None:
    a, b = torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(0))
    assert likeness(a, a) == pytest.approx(1)
    assert likeness(a, b) < 0.3
    assert likeness(torch.zeros_like(a), torch.zeros_like(a)) == 1


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_structural_similarity_is_that_of_monai(noise: float) -> None:
    from monai.metrics.regression import SSIMMetric

    random = torch.Generator().manual_seed(1)
    a = torch.rand(1, 1, 48, 48, generator=random)
    b = (a + noise * torch.rand(a.shape, generator=random)).clamp(max=1)
    expected = SSIMMetric(spatial_dims=2, data_range=1.0)(a, b)
    assert float(_ssim(a, b)) == pytest.approx(float(expected), abs=1e-4)


def test_positive_maps_reach_one_unless_nothing_speaks() -> None:
    maps = torch.tensor([[[-2.0, 0.5]], [[-1.0, -3.0]]])
    assert positive(maps).tolist() == [[[0.0, 1.0]], [[0.0, 0.0]]]
