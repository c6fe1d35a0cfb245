"""Saliency: the maximum of a map lies where the answer came from, in the image's own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calcilens.imaging.candidates import candidate
from calcilens.imaging.patches import PatchLocation
from calcilens.inference.lesions import SaliencyMap
from calcilens.inference.predictor import PatchInput, patch_input
from calcilens.inference.saliency import Explainer
from calcilens.models.classifier import LesionClassifier
from calcilens.models.saliency import TRUSTED, cam
from tests.inference.made import FakeModel, FakeNetwork, ct

BOXES = {
    "off centre": [[3, 54, 84], [8, 67, 97]],
    "in a corner": [[0, 2, 1], [3, 14, 15]],
    "at the far edge": [[9, 140, 150], [12, 158, 160]],
    "larger than a patch": [[2, 10, 20], [9, 130, 150]],
}


def given_with(box: list[list[int]], hu: np.ndarray | None = None) -> PatchInput:
    image = ct()
    if hu is not None:
        image = type(image)(hu, image.affine, "1", "2", None, image.planes)
    cut = patch_input(image, candidate(image, box, None, ""), FakeModel().spec)
    assert isinstance(cut, PatchInput)
    return cut


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_the_map_peaks_where_the_answer_comes_from(box: list[list[int]]) -> None:
    given = given_with(box)
    (y0, x0), (y1, x1) = np.array(box)[:, 1:]
    target = np.array([y0 + (y1 - y0) // 3, x0 + 2 * (x1 - x0) // 3])
    spot = target - given.location.origin
    network = FakeNetwork((int(spot[0]), int(spot[1])))
    given.pixels.copy_(0.5 + torch.rand_like(given.pixels) / 4)
    found = Explainer(network).explain(given).in_plane((160, 160))
    assert found.shape == (160, 160)
    peak = np.array(np.unravel_index(found.argmax(), found.shape))
    cell = max(1.5 * max(y1 - y0, x1 - x0), 12) / 16
    assert np.abs(peak - target).max() <= 1 + cell


@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_the_image_flips_the_map(axis: int) -> None:
    image, box = ct(), np.array(BOXES["off centre"])
    mirrored = box.copy()
    mirrored[:, axis] = image.hu.shape[axis] - box[::-1, axis]
    network = FakeNetwork()
    network.encoder.weight.data = network.encoder.weight.data.mean((2, 3), keepdim=True).expand(
        -1, -1, 4, 4
    )
    there = given_with(mirrored.tolist(), np.flip(image.hu, axis).copy())
    straight = cam(network, given_with(box.tolist()).tensors)[0].numpy()
    flipped = cam(network, there.tensors)[0].numpy()
    # Patches start at whole pixels, so that an odd box lies half a pixel off after a flip.
    shifted = min(
        np.abs(np.roll(np.flip(flipped, axis - 1), step, axis - 1) - straight).mean()
        for step in (-1, 0, 1)
    )
    assert shifted < 0.05 * np.abs(straight).max()


def test_a_map_that_ignores_the_weights_is_hidden_with_the_reason() -> None:
    network = FakeNetwork()
    network.encoder.weight.data[:] = 1.0
    network.mixing.data[:] = 1.0
    seen = Explainer(network).explain(given_with(BOXES["off centre"]))
    assert seen.trust < TRUSTED
    assert not seen.shown
    assert seen.why is not None
    assert "shuffled weights" in seen.why


def test_a_map_that_depends_on_the_weights_is_shown() -> None:
    given = given_with(BOXES["off centre"])
    random = torch.Generator().manual_seed(3)
    given.pixels.copy_(torch.rand(given.pixels.shape, generator=random))
    seen = Explainer(FakeNetwork()).explain(given)
    assert seen.trust >= TRUSTED
    assert seen.shown
    assert seen.why is None


def test_the_same_lesion_gives_the_same_map() -> None:
    given = given_with(BOXES["off centre"])
    first, again = (Explainer(FakeNetwork()).explain(given) for _ in range(2))
    assert np.array_equal(first.values, again.values)
    assert first.trust == again.trust


def test_a_model_whose_maps_failed_on_held_out_lesions_shows_none() -> None:
    network = FakeNetwork()
    network.register_buffer("saliency_trust", torch.tensor(TRUSTED - 0.1))
    given = given_with(BOXES["off centre"])
    given.pixels.copy_(torch.rand(given.pixels.shape, generator=torch.Generator().manual_seed(3)))
    seen = Explainer(network).explain(given)
    assert not seen.shown
    assert seen.why is not None
    assert "held-out lesions" in seen.why


def test_a_network_that_sees_no_mineral_shows_no_map() -> None:
    network = LesionClassifier(attention=True).eval()
    with torch.no_grad():
        network.get_parameter("attention.score.bias").fill_(-20.0)
    seen = Explainer(network).explain(given_with(BOXES["off centre"]))
    assert not seen.values.any()
    assert not seen.shown
    assert seen.why == "no place speaks for 'calcified'"


def test_a_map_is_put_into_the_image_pixel_for_pixel() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    seen = SaliencyMap(values, PatchLocation((0,), (-3, 14), 8), "test", 1.0, True)
    whole = seen.in_plane((10, 20))
    assert np.array_equal(whole[:5, 14:20], values[3:, :6])
    whole[:5, 14:20] = 0
    assert not whole.any()


def test_explaining_leaves_the_network_as_it_was() -> None:
    network = FakeNetwork()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    Explainer(network).explain(given_with(BOXES["off centre"]))
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert not network.encoder._forward_hooks
