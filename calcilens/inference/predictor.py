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
from calcilens.imaging.patches import PatchLocation, PatchSpec, cut_stored
from calcilens.inference.lesions import Answer, Concern, Finding, OutOfDomain, Patterns
from calcilens.models.abstention import OUT_OF_DOMAIN, REASONS, Reason
from calcilens.models.conformal import USUAL_LEVEL
from calcilens.vocabulary import PATTERN_KEYS, ConcernLevel, Reading, concern_level, pattern

DEFAULT_THRESHOLDS = (1 / 3, 2 / 3)
"""Of concern, for a card that states none."""
PATTERN_MASS = 0.9
"""Share of the probability that the likeliest patterns hold together, for a model without
conformal sets."""
_UNLIKE = "unlike that in the images that the model was trained on"
WORDS = {
    Reason.NO_CONTENT: "all pixels around the lesion have the same value",
    Reason.STRANGE: f"out of domain: what is in and around the lesion looks {_UNLIKE}",
    Reason.STRANGE_BRIGHTNESS: f"out of domain: brightness in and around the lesion is {_UNLIKE}",
    Reason.METAL: "out of domain: much of what surrounds the lesion is as dense as metal",
    Reason.UNDECIDED: "undecided: near one half, too many answers on held-out lesions were wrong",
    Reason.NOT_CALCIFIED: "the model sees no calcification, so that a pattern has no meaning",
    Reason.NO_PATTERN: "no pattern is as likely as it mostly was on lesions that truly show it",
    Reason.TOO_MANY: "so many patterns are possible that naming one would mostly be wrong",
}
"""Why there is no answer, as a report says it."""


class Described(Protocol):
    """What a report says of any model that had a part in it."""

    @property
    def card(self) -> Mapping[str, Any]:
        """What is known of the model."""

    @property
    def sha256(self) -> str:
        """Of the weights."""


class Model(Described, Protocol):
    """What inference needs of a loaded classifier."""

    @property
    def network(self) -> nn.Module:
        """A network with `predict` (see models.ensemble), in evaluation mode."""

    @property
    def spec(self) -> PatchSpec:
        """How patches for it are cut."""


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
    stack, spacing = stack_of(image), spacing_of(image)
    patch = cut_stored(stack, candidate.box, spacing, spec, key_plane=candidate.key_plane)
    if not np.isfinite(patch.pixels).all():
        return "the pixels around the lesion hold values that are not numbers"
    scaled = spec.scale(patch.pixels, calibrated=not isinstance(image, Radiograph))
    pixels, box, extent_mm = map(torch.from_numpy, (scaled, patch.box, patch.extent_mm))
    return PatchInput(pixels[None], box[None], extent_mm[None], patch.location)


def answer(model: Model, given: PatchInput) -> Answer:
    """Ask a model about one lesion."""
    network: Any = model.network
    with torch.inference_mode():
        said = network.predict(*given.tensors)
    card, name = model.card, str(model.card.get("name", "unnamed"))
    heads = set(card.get("heads", ("finding", "pattern", "concern")))
    why = [REASONS[code] for code in said.why[0].tolist()]
    if Reason.NO_CONTENT in why:
        strange = _out_of_domain(said, Reason.NO_CONTENT)
        return Answer.abstain(WORDS[Reason.NO_CONTENT], name, out_of_domain=strange)
    finding = _finding(_probability(said.finding), heads, why[0])
    patterns = _patterns(said, card, heads, why[1], USUAL_LEVEL if network.sets.fitted else None)
    concern = _concern(said, card, heads, patterns, why[2])
    return Answer(finding, patterns, concern, _out_of_domain(said, why[0]), name)


def _probability(value: Tensor) -> float | None:
    number = float(value.reshape(-1)[0])
    return number if np.isfinite(number) else None


def _finding(probability: float | None, heads: set[str], why: Reason) -> Finding:
    if "finding" not in heads:
        return Finding(why="this model was not trained to tell calcified from not calcified")
    if probability is None:
        return Finding(why="the model gave no number")
    return Finding(probability, abstained=bool(why), why=WORDS.get(why))


def _patterns(
    said: Any, card: Mapping[str, Any], heads: set[str], why: Reason, coverage: float | None
) -> Patterns:
    known = [k for k in card.get("patterns", PATTERN_KEYS) if k in PATTERN_KEYS]
    if "pattern" not in heads or len(known) < 2:
        return Patterns(why="this model was not trained to tell patterns apart")
    values = zip(PATTERN_KEYS, said.pattern[0].tolist(), strict=True)
    chances = {k: v for k, v in values if k in known}
    if not np.isfinite(list(chances.values())).all():
        return Patterns(why="the model gave no number")
    ranked = sorted(chances, key=lambda k: -chances[k])
    if coverage is None:
        mass = np.cumsum([chances[k] for k in ranked])
        likely = ranked[: int(np.searchsorted(mass, PATTERN_MASS)) + 1]
    else:
        inside = dict(zip(PATTERN_KEYS, said.pattern_set[0].tolist(), strict=True))
        likely = [k for k in ranked if inside[k]]
    return Patterns(chances, likely, coverage, abstained=bool(why), why=WORDS.get(why))


def _concern(
    said: Any, card: Mapping[str, Any], heads: set[str], patterns: Patterns, why: Reason
) -> Concern:
    """Give no level, least of all a low one, where the model has no ground to stand on."""
    probability = _probability(said.concern)
    if "concern" not in heads or probability is None:
        reason = "this model was not trained to judge concern"
        return Concern(model_reasons=[f"no answer: {reason}"])
    if why:
        return Concern(model_reasons=[f"no answer: {WORDS[why]}"])
    thresholds = card.get("concern_thresholds", DEFAULT_THRESHOLDS)
    level = concern_level(probability, thresholds)
    reasons = [_threshold_reason(probability, level, thresholds)]
    if not patterns.abstained:
        first = pattern(max(patterns.probabilities, key=patterns.probabilities.__getitem__))
        # A pattern that reassures is no reason: the rest of the lesion may not.
        read = f", {first.reading.value}" if first.reading is Reading.EVALUATE else ""
        reasons.append(f"likeliest pattern if calcified: {first.label}{read}")
    return Concern(probability, level.value, reasons)


def _threshold_reason(probability: float, level: ConcernLevel, thresholds: Any) -> str:
    low, high = (float(t) for t in thresholds)
    bounds = {
        ConcernLevel.LOW: f"below {low:.2f}, where intermediate begins for this model",
        ConcernLevel.INTERMEDIATE: f"between the model's limits {low:.2f} and {high:.2f}",
        ConcernLevel.HIGH: f"at or above {high:.2f}, where high begins for this model",
    }
    return f"probability {probability:.2f} is {bounds[level]}"


def _out_of_domain(said: Any, why: Reason) -> OutOfDomain:
    score = _probability(said.out_of_domain)
    return OutOfDomain(score, None if score is None else why in OUT_OF_DOMAIN)
