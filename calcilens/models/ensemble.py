"""Several classifiers of one shape that answer as one, calibrated, and know when not to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from calcilens.models.abstention import REASONS, Abstention, Reason
from calcilens.models.calibration import Calibration
from calcilens.models.classifier import LesionClassifier, PatternOutput
from calcilens.models.conformal import USUAL_LEVEL, ConformalSets
from calcilens.models.domain import Domain
from calcilens.vocabulary import PATTERN_KEYS

Inputs = tuple[Tensor, Tensor, Tensor]


class Seen(NamedTuple):
    """What the networks made of a batch; all that comes after needs no image."""

    logits: Tensor
    """(B, M, 20) of the members, not calibrated; NaN where a member was not asked."""
    profile: Tensor
    """(B, W) order statistics of brightness, raw."""
    pooled: Tensor
    """(B, F) features of the first member's encoder."""
    flat: Tensor
    """(B,) bool: all pixels of the middle plane are the same."""


class Prediction(NamedTuple):
    """Calibrated probabilities, and where there is no answer, why."""

    finding: Tensor
    """(B,)"""
    pattern: Tensor
    """(B, 18), given a calcification; sums to one over the patterns that the model knows;
    all 0 where it knows none."""
    concern: Tensor
    """(B,)"""
    out_of_domain: Tensor
    """(B,) distance from the training set; what lies beyond `Domain.limit` is out of domain.
    NaN for a model that was not taught what is usual."""
    pattern_set: Tensor
    """(B, 18) bool: the conformal set; all False for a model without one."""
    why: Tensor
    """(B, 3): why finding, pattern and concern have no answer, as an index of `REASONS`."""


class Ensemble(nn.Module):
    """Members with their own calibration; their calibrated log-odds are averaged.

    All state that a prediction depends on is a buffer, so that it travels with the weights.

    Args:
        network: Keyword arguments of `LesionClassifier`.
        members: How many.
        known: Patterns that the training data carried; others get probability 0.
    """

    known: Tensor
    saliency_trust: Tensor

    def __init__(
        self, network: Mapping[str, Any], members: int = 1, known: Sequence[str] = PATTERN_KEYS
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(LesionClassifier(**network) for _ in range(members))
        self.register_buffer("known", torch.tensor([key in known for key in PATTERN_KEYS]))
        first = self.first
        self.kinds = 2 if first.profile.in_hu else 1
        self.calibration = Calibration(self.kinds, members)
        self.sets = ConformalSets(self.kinds)
        self.domain = Domain(self.kinds, first.profile.width, first.pooled_width)
        self.abstention = Abstention()
        self.register_buffer("saliency_trust", torch.tensor(torch.nan))  # not measured as yet

    @property
    def first(self) -> LesionClassifier:
        """A member; all have the same specification and windows."""
        member = self.members[0]
        if not isinstance(member, LesionClassifier):
            raise TypeError(f"expected a LesionClassifier, found {type(member).__name__}")
        return member

    def forward(
        self, pixels: Tensor, box: Tensor, extent_mm: Tensor, trusted: Tensor | None = None
    ) -> PatternOutput:
        """Return calibrated log-odds, averaged over members.

        Args:
            pixels: (B, channels, S, S), as for `LesionClassifier.forward`.
            box: (B, 4).
            extent_mm: (B, 3).
            trusted: (B, members) bool: which members answer for which lesion; by default all.
                A lesion without any gets NaN.
        """
        return self.averaged(self.see((pixels, box, extent_mm), trusted))

    def predict(
        self,
        pixels: Tensor,
        box: Tensor,
        extent_mm: Tensor,
        trusted: Tensor | None = None,
        level: float = USUAL_LEVEL,
    ) -> Prediction:
        """Return calibrated probabilities; `level` is the coverage of the pattern sets."""
        with torch.inference_mode():
            return self.judge(self.see((pixels, box, extent_mm), trusted), level)

    def see(self, inputs: Inputs, trusted: Tensor | None = None) -> Seen:
        """Run the networks; arguments as for `forward`."""
        pixels = inputs[0]
        first = self.first.branches(*inputs)
        logits = [self.first.conclude(first).logits]
        if trusted is not None:
            logits[0] = torch.where(trusted[:, :1], logits[0], torch.nan)
        for index in range(1, len(self.members)):
            logits.append(self._ask(index, inputs, None if trusted is None else trusted[:, index]))
        middle = pixels[:, self.first.spec.planes // 2].flatten(1)
        return Seen(
            torch.stack(logits, 1),
            self.first.profile.raw(*inputs),
            first.pooled,
            middle.amin(1) == middle.amax(1),
        )

    def _ask(self, index: int, inputs: Inputs, rows: Tensor | None) -> Tensor:
        """Return the logits (B, 20) of a member for those rows that it is asked for."""
        member = self.members[index]
        if rows is None or rows.all():
            asked: Tensor = member(*inputs).logits
            return asked
        logits = torch.full((len(rows), self.first.outputs), torch.nan, device=rows.device)
        if rows.any():
            logits[rows] = member(*(part[rows] for part in inputs)).logits
        return logits

    def kind(self, seen: Seen) -> Tensor:
        """Return (B,): 1 where the input of a network that reads HU is in HU, else 0."""
        if self.kinds == 1:
            return torch.zeros(len(seen.profile), dtype=torch.long, device=seen.profile.device)
        return (seen.profile[:, -1] > 0).long()

    def averaged(self, seen: Seen) -> PatternOutput:
        """Return log-odds and log-probabilities: calibrated, and averaged over who was asked."""
        calibrated = self.calibration(seen.logits, self.kind(seen))
        asked = ~calibrated[:, :, :1].isnan()
        if asked.all():
            return PatternOutput.of(calibrated.mean(1))
        return PatternOutput.of(torch.where(asked, calibrated, 0).sum(1) / asked.sum(1))

    def judge(self, seen: Seen, level: float = USUAL_LEVEL) -> Prediction:
        """Turn what the networks saw into an answer; `level`: coverage of the pattern sets."""
        kind, logits = self.kind(seen), self.averaged(seen)
        finding = logits.finding.sigmoid()
        masked = logits.pattern.masked_fill(~self.known, -torch.inf)
        pattern = torch.where(self.known, masked.softmax(1), 0.0)  # none known: all 0
        sets = self.sets(pattern, kind, level) & self.known
        distances = self.distances(seen)
        strange = self._strange(seen, distances)
        why = self.abstention(strange, finding, sets if self.sets.fitted else None)
        far = torch.where(self.domain.limit.isfinite(), distances.amax(1), torch.nan)
        return Prediction(finding, pattern, logits.concern.sigmoid(), far, sets, why)

    def distances(self, seen: Seen) -> Tensor:
        """Return how far (B, 2) brightness and structure are from the training set."""
        standardised = self.first.profile.standardised(seen.profile)
        return self.domain.distances(standardised, seen.pooled, self.kind(seen))

    def _strange(self, seen: Seen, distances: Tensor) -> Tensor:
        """Return (B,) why a lesion is out of domain, as an index of `REASONS`; 0 where it is in."""
        kinds = [Reason.STRANGE_BRIGHTNESS, Reason.STRANGE_STRUCTURE]
        codes = torch.tensor([REASONS.index(kind) for kind in kinds], device=distances.device)
        farther = codes[distances.argmax(1)]
        strange = torch.where(distances.amax(1) > self.domain.limit, farther, 0)
        return torch.where(seen.flat, REASONS.index(Reason.NO_CONTENT), strange)
