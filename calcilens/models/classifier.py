"""The lesion classifier: patch and box in, finding, pattern and concern out.

Three things look at a lesion: a MONAI encoder at the lesion itself, the same encoder at its
surroundings, and the order statistics of the brightness inside and around the box. The last
is what a reader does with a region-of-interest tool; it costs nothing and is hard to learn
from few images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from calcilens.imaging.patches import PatchSpec
from calcilens.models import views
from calcilens.models.attention import Attention
from calcilens.models.encoder import WIDTHS, Encoder
from calcilens.models.profile import Profile
from calcilens.vocabulary import PATTERN_KEYS


class PatternOutput(NamedTuple):
    """Logits of the three heads."""

    finding: Tensor
    """(B,) calcified or not."""
    pattern: Tensor
    """(B, 18) one a pattern of the vocabulary, given that the lesion is calcified."""
    concern: Tensor
    """(B,) the lesion asks for evaluation."""

    @classmethod
    def of(cls, logits: Tensor) -> PatternOutput:
        """Split logits (B, 20) as the heads give them: finding, concern, patterns."""
        return cls(logits[:, 0], logits[:, 2:], logits[:, 1])

    @property
    def logits(self) -> Tensor:
        """All of them (B, 20), as `of` takes them."""
        return torch.cat([self.finding[:, None], self.concern[:, None], self.pattern], 1)


class Branches(NamedTuple):
    """What the two branches of a network make of lesions."""

    seen: Tensor
    """(B, branch_width) by the encoder."""
    measured: Tensor
    """(B, branch_width) by the profile."""
    attention: Tensor | None
    """(B, 1, h, w) logits of the map over `window`; None for a network without attention."""
    window: Tensor
    """(B, 4) of the lesion view, patch pixels."""
    texture: Tensor
    """(B, F) mean and spread of an early stage of the encoder over both views; no head reads it,
    but the domain is judged by it."""
    hu: Tensor
    """(B,) bool: the network reads HU, and the input is in HU."""


class Judge(nn.Module):
    """What makes answers of features, for input of one kind.

    Args:
        measured: Number of features of the profile.
        seen: Number of features of the encoder.
        dropout: Dropout before the heads.
    """

    branch_width = 64
    outputs = 2 + len(PATTERN_KEYS)

    def __init__(self, measured: int, seen: int, dropout: float) -> None:
        super().__init__()
        self.measure = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(measured, 96),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(96, self.branch_width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.look = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(seen, self.branch_width), nn.ReLU()
        )
        widths = (2 * self.branch_width, self.branch_width, self.branch_width)
        self.heads = nn.ModuleList(nn.Linear(width, self.outputs) for width in widths)

    def conclusions(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logits (B, 3 * outputs) of both branches together, and of each alone."""
        return torch.cat([head(x) for head, x in zip(self.heads, inputs, strict=True)], 1)


class LesionClassifier(Judge):
    """Classify lesions given by their boxes.

    Input in HU has a judge of its own, and the network itself is the judge of all other input:
    crops that lost their HU are other images, of other lesions, with other labels, and what is
    usual for them would be a poor measure for the rest. The encoder serves both.

    Args:
        planes: Neighbouring planes of a patch; 1 for radiographs.
        size: Smallest patch side, pixels.
        intensity: How patches are scaled; see `PatchSpec`.
        lesion_px: Side of the view of the lesion.
        context_px: Side of the view of the surroundings.
        context_mm: What that view shows, mm.
        dropout: Dropout before the heads.
        attention: Whether a fine map of the lesion view, taught by masks of the mineral where
            there are some, picks features for the heads.

    Example:
        >>> network = LesionClassifier()
        >>> pixels, box = torch.rand(2, 5, 128, 128), torch.tensor([[50.0, 50, 70, 80]] * 2)
        >>> network.eval()(pixels, box, torch.full((2, 3), 14.0)).pattern.shape
        torch.Size([2, 18])
    """

    LESION_ZOOM = 1.5
    LESION_LEAST_PX = 12.0
    EARLY = 2
    """Stage of the encoder that `Branches.texture` is taken from."""
    texture_width = 4 * WIDTHS[EARLY]

    def __init__(
        self,
        planes: int = 5,
        size: int = 128,
        *,
        intensity: str = "plane_minmax",
        lesion_px: int = 64,
        context_px: int = 64,
        context_mm: float = 64.0,
        dropout: float = 0.3,
        attention: bool = False,
    ) -> None:
        spec = PatchSpec(planes, size, intensity)  # type: ignore[arg-type]
        groups = spec.channels // planes
        profile = Profile(planes, groups, size)
        seen = 4 * WIDTHS[-1] + (Attention.width if attention else 0)
        super().__init__(profile.width, seen, dropout)
        self.spec, self.profile = spec, profile
        self.lesion_px, self.context_px, self.context_mm = lesion_px, context_px, context_mm
        self.encoder = Encoder(planes, groups)
        self.attention = Attention() if attention else None
        self.judge_in_hu = Judge(profile.width, seen, dropout) if profile.in_hu else None

    def windows(self, box: Tensor, extent_mm: Tensor) -> tuple[Tensor, Tensor]:
        """Return the windows (B, 4) of the lesion view and of the context view."""
        near = views.lesion_window(box, self.LESION_ZOOM, self.LESION_LEAST_PX)
        far = views.context_window(box, extent_mm, self.context_mm, self.spec.size * 0.75)
        return near, far

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> PatternOutput:
        """Classify.

        Args:
            pixels: (B, channels, S, S) float32 in 0..1, as `PatchSpec.scale` gives them.
            box: (B, 4) lesion boxes (y0, x0, y1, x1), patch pixels.
            extent_mm: (B, 3) size of the box along (z, y, x), mm; NaN where not calibrated.
        """
        return self.conclude(self.branches(pixels, box, extent_mm))

    def conclude(self, branches: Branches) -> PatternOutput:
        """Return the mean of what both branches together, and each alone, answer."""
        answers = zip(*self.answers(branches), strict=True)
        return PatternOutput(*(torch.stack(logits).mean(0) for logits in answers))

    def branches(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Branches:
        """Return what the encoder saw, what the profile measured and where attention lay."""
        near, far = self.windows(box, extent_mm)
        stages = self.encoder.stages(self._view(pixels, near, self.lesion_px))
        around = self.encoder.stages(self._view(pixels, far, self.context_px))
        seen = [_pool(stages[-1]), _pool(around[-1])]
        attention = None
        if self.attention is not None:
            attention, picked = self.attention(stages)
            seen.append(picked)
        hu, features = self.in_hu(pixels), torch.cat(seen, 1)
        profile = self.profile(pixels, box, extent_mm)
        looked = self._judged(hu, lambda judge: judge.look(features))
        measured = self._judged(hu, lambda judge: judge.measure(profile))
        texture = torch.cat([_spread(view[self.EARLY]) for view in (stages, around)], 1)
        return Branches(looked, measured, attention, near, texture, hu)

    def in_hu(self, pixels: Tensor) -> Tensor:
        """Tell (B,) whether the network reads HU and `pixels` (B, channels, S, S) show them."""
        if self.judge_in_hu is None:
            return torch.zeros(len(pixels), dtype=torch.bool, device=pixels.device)
        return pixels[:, 2 * self.spec.planes :].flatten(1).amax(1) > 0

    def answers(self, branches: Branches) -> list[PatternOutput]:
        """Return the logits of both branches together, and of each alone."""
        seen, measured = branches.seen, branches.measured
        inputs = (torch.cat([seen, measured], 1), seen, measured)
        logits = self._judged(branches.hu, lambda judge: judge.conclusions(inputs))
        return [PatternOutput.of(part.float()) for part in torch.split(logits, self.outputs, 1)]

    def _judged(self, hu: Tensor, by: Callable[[Judge], Tensor]) -> Tensor:
        """Return what the judge of each row's kind of input makes of it (B, n)."""
        relative = by(self)
        if self.judge_in_hu is None:
            return relative
        return torch.where(hu[:, None], by(self.judge_in_hu), relative)

    @property
    def deepest(self) -> nn.Module:
        """The module that gives the encoder's last features, once for each window."""
        module: nn.Module = self.encoder._blocks[-1]
        return module

    def _view(self, pixels: Tensor, window: Tensor, size: int) -> Tensor:
        view = views.sample(pixels, window, size)
        return view.contiguous(memory_format=torch.channels_last)


def _pool(features: Tensor) -> Tensor:
    """Mean and maximum over the map: (B, C, h, w) -> (B, 2C)."""
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)


def _spread(features: Tensor) -> Tensor:
    """Mean and spread over the map, without a gradient: (B, C, h, w) -> (B, 2C)."""
    features = features.detach().float()
    return torch.cat([features.mean((2, 3)), features.std((2, 3))], 1)
