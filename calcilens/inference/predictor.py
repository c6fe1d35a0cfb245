"""From a lesion's box to the answers of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.patches import PatchLocation, PatchSpec, cut, extract
from calcilens.inference.lesions import Answer, Concern, Finding, OutOfDomain, Patterns
from calcilens.vocabulary import PATTERN_KEYS, ConcernLevel, concern_level, pattern

DEFAULT_THRESHOLDS = (1 / 3, 2 / 3)
"""Of concern, for a card that states none."""
PATTERN_MASS = 0.9
"""Share of the probability that the likeliest patterns hold together."""


class Model(Protocol):
    """What inference needs of a loaded model."""

    @property
    def network(self) -> nn.Module:
        """A network with `predict` (see models.ensemble), in evaluation mode."""

    @property
    def spec(self) -> PatchSpec:
        """How patches for it are cut."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What is known of the model."""

    @property
    def sha256(self) -> str:
        """Of the weights."""


@dataclass(frozen=True, eq=False)
class PatchInput:
    """A lesion as a network takes it, batch of one.

    Args:
        pixels: (1, P, S, S) in 0..1.
        box: (1, 4) patch pixels.
        extent_mm: (1, 3), NaN where the spacing is not calibrated.
    """

    pixels: Tensor
    box: Tensor
    extent_mm: Tensor
    location: PatchLocation

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The network's arguments."""
        return self.pixels, self.box, self.extent_mm


def stack_of(image: Image) -> NDArray[np.float32] | NDArray[np.int16]:
    """Return the planes (Z, Y, X) that a network sees: HU, or a radiograph's pixels."""
    return image.pixels[None] if isinstance(image, Radiograph) else image.hu


def spacing_of(image: Image) -> tuple[float, float, float]:
    """Return spacing along (z, y, x), mm; NaN where a radiograph is not calibrated."""
    if not isinstance(image, Radiograph):
        return image.spacing_mm
    y, x = image.spacing_mm or (np.nan, np.nan)
    return np.nan, y, x


def patch_input(image: Image, candidate: Candidate, spec: PatchSpec) -> PatchInput | str:
    """Cut the patch of a lesion, or say in words why it cannot be judged."""
    stack = stack_of(image)
    raw = extract(stack, spec.locate(candidate.box, stack.shape)).astype(np.float32)
    if not np.isfinite(raw).all():
        return "the pixels around the lesion hold values that are not numbers"
    middle = raw[len(raw) // 2]
    if middle.min() == middle.max():
        return "all pixels around the lesion have the same value"
    patch = cut(stack, candidate.box, spacing_of(image), spec)
    arrays = (patch.pixels, patch.box, patch.extent_mm)
    pixels, box, extent_mm = (torch.from_numpy(array)[None] for array in arrays)
    return PatchInput(pixels, box, extent_mm, patch.location)


def answer(model: Model, given: PatchInput) -> Answer:
    """Ask a model about one lesion."""
    with torch.inference_mode():
        said = model.network.predict(*given.tensors)  # type: ignore[operator]
    card = model.card
    name = str(card.get("name", "unnamed"))
    strange = _out_of_domain(said, card)
    heads = set(card.get("heads", ("finding", "pattern", "concern")))
    finding = _probability(said.finding)
    patterns = _patterns(said.pattern[0].tolist(), card, heads)
    concern = _WITHHELD if strange.flag else _concern(said, card, heads, patterns)
    return Answer(_finding(finding, heads), patterns, concern, strange, name)


_WITHHELD = Concern(
    model_reasons=["no answer: the lesion looks unlike the images that the model was trained on"]
)
"""No level, least of all a low one, where the model has no ground to stand on."""


def _probability(value: Tensor) -> float | None:
    number = float(value.reshape(-1)[0])
    return number if np.isfinite(number) else None


def _finding(probability: float | None, heads: set[str]) -> Finding:
    if "finding" not in heads:
        return Finding(why="this model was not trained to tell calcified from not calcified")
    if probability is None:
        return Finding(why="the model gave no number")
    return Finding(probability, abstained=False)


def _patterns(values: list[float], card: Mapping[str, Any], heads: set[str]) -> Patterns:
    known = [k for k in card.get("patterns", PATTERN_KEYS) if k in PATTERN_KEYS]
    if "pattern" not in heads or len(known) < 2:
        return Patterns(why="this model was not trained to tell patterns apart")
    chances = {k: float(v) for k, v in zip(PATTERN_KEYS, values, strict=True) if k in known}
    if not np.isfinite(list(chances.values())).all():
        return Patterns(why="the model gave no number")
    ranked = sorted(chances, key=lambda k: -chances[k])
    mass = np.cumsum([chances[k] for k in ranked])
    likely = ranked[: int(np.searchsorted(mass, PATTERN_MASS)) + 1]
    return Patterns(chances, likely, None, abstained=False)


def _concern(said: Any, card: Mapping[str, Any], heads: set[str], patterns: Patterns) -> Concern:
    probability = _probability(said.concern)
    if "concern" not in heads or probability is None:
        reason = "this model was not trained to judge concern"
        return Concern(model_reasons=[f"no answer: {reason}"])
    thresholds = card.get("concern_thresholds", DEFAULT_THRESHOLDS)
    level = concern_level(probability, thresholds)
    reasons = [_threshold_reason(probability, level, thresholds)]
    if patterns.set and not patterns.abstained:
        first = pattern(patterns.set[0])
        reasons.append(f"likeliest pattern if calcified: {first.label}, {first.reading.value}")
    return Concern(probability, level.value, reasons)


def _threshold_reason(probability: float, level: ConcernLevel, thresholds: Any) -> str:
    low, high = (float(t) for t in thresholds)
    bounds = {
        ConcernLevel.LOW: f"below {low:.2f}, the model's lower limit of intermediate",
        ConcernLevel.INTERMEDIATE: f"between the model's limits {low:.2f} and {high:.2f}",
        ConcernLevel.HIGH: f"at or above {high:.2f}, the model's lower limit of high",
    }
    return f"probability {probability:.2f} is {bounds[level]}"


def _out_of_domain(said: Any, card: Mapping[str, Any]) -> OutOfDomain:
    value = getattr(said, "out_of_domain", None)
    score = None if value is None else _probability(value)
    limit = card.get("out_of_domain_limit")
    return OutOfDomain(score, None if score is None or limit is None else score > float(limit))
