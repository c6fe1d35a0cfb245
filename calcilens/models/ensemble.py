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
from calcilens.models.domain import BANDS, Domain, hu_bands, is_metal
from calcilens.models.texture import TEXTURES, texture
from calcilens.vocabulary import PATTERN_KEYS

Inputs = tuple[Tensor, Tensor, Tensor]


class Seen(NamedTuple):
    """What the networks made of a batch; all that comes after needs no image."""

    logits: Tensor
    """(B, M, 20) of the members, not calibrated; NaN where a member was not asked."""
    features: Tensor
    """(B, W) that the domain is judged by."""
    hu: Tensor
    """(B,) bool: the network reads HU, and the input is in HU."""
    flat: Tensor
    """(B,) bool: all pixels of the middle plane are the same."""

    @property
    def kind(self) -> Tensor:
        """(B,) kind of input: 1 in HU, else 0."""
        return self.hu.long()


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
        by_profile: Judge the domain by order statistics of brightness, as the first models did.
    """

    known: Tensor
    saliency_trust: Tensor

    def __init__(
        self,
        network: Mapping[str, Any],
        members: int = 1,
        known: Sequence[str] = PATTERN_KEYS,
        *,
        by_profile: bool = False,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(LesionClassifier(**network) for _ in range(members))
        self.register_buffer("known", torch.tensor([key in known for key in PATTERN_KEYS]))
        self.kinds = 2 if self.first.profile.in_hu else 1
        self.calibration = Calibration(self.kinds, members)
        self.sets = ConformalSets(self.kinds)
        self.by_profile = by_profile
        self.domain = self._unlearnt_domain()
        self.abstention = Abstention()
        self.register_buffer("saliency_trust", torch.tensor(torch.nan))  # not measured as yet

    def _unlearnt_domain(self) -> Domain:
        first = self.first
        if self.by_profile:
            return Domain(self.kinds, first.profile.width)
        if self.kinds == 2:
            return Domain(self.kinds, first.texture_width + BANDS)
        return Domain(self.kinds, TEXTURES, beside=first.texture_width)

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
        flat = middle.amin(1) == middle.amax(1)
        features = self._features(inputs, first.texture)
        return Seen(torch.stack(logits, 1), features, first.hu, flat)

    def _features(self, inputs: Inputs, encoded: Tensor) -> Tensor:
        if self.by_profile:
            return self.first.profile.standardised(self.first.profile.raw(*inputs))
        planes = self.first.spec.planes
        of_patch = (
            hu_bands(inputs[0], planes) if self.kinds == 2 else texture(inputs[0][:, planes // 2])
        )
        return torch.cat([encoded, of_patch], 1)

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

    def averaged(self, seen: Seen) -> PatternOutput:
        """Return log-odds and log-probabilities: calibrated, and averaged over who was asked."""
        calibrated = self.calibration(seen.logits, seen.kind)
        asked = ~calibrated[:, :, :1].isnan()
        if asked.all():
            return PatternOutput.of(calibrated.mean(1))
        return PatternOutput.of(torch.where(asked, calibrated, 0).sum(1) / asked.sum(1))

    def judge(self, seen: Seen, level: float = USUAL_LEVEL) -> Prediction:
        """Turn what the networks saw into an answer; `level`: coverage of the pattern sets."""
        logits = self.averaged(seen)
        finding = logits.finding.sigmoid()
        masked = logits.pattern.masked_fill(~self.known, -torch.inf)
        pattern = torch.where(self.known, masked.softmax(1), 0.0)  # none known: all 0
        sets = self.sets(pattern, seen.kind, level) & self.known
        far = self.domain(seen.features, seen.kind)
        strange = self._strange(seen, far)
        why = self.abstention(strange, finding, sets if self.sets.fitted else None)
        far = torch.where(self.domain.limit.isfinite(), far, torch.nan)
        return Prediction(finding, pattern, logits.concern.sigmoid(), far, sets, why)

    def _strange(self, seen: Seen, far: Tensor) -> Tensor:
        """Return (B,) why a lesion is out of domain, as an index of `REASONS`; 0 where it is in."""
        usual = Reason.STRANGE_BRIGHTNESS if self.by_profile else Reason.STRANGE
        reason = torch.full_like(seen.kind, REASONS.index(usual))
        if self.kinds == 2 and not self.by_profile:
            metal = seen.hu & is_metal(seen.features[:, -BANDS:])
            reason[metal] = REASONS.index(Reason.METAL)
        strange = torch.where(far > self.domain.limit, reason, 0)
        return torch.where(seen.flat, REASONS.index(Reason.NO_CONTENT), strange)
