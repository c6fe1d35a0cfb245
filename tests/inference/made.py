"""A small network, models, images and studies for the tests of inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from calcilens.imaging.candidates import Candidate, candidate
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Image, Plane, Radiograph, Volume
from calcilens.imaging.patches import PatchSpec
from calcilens.imaging.records import SeriesInfo, Skipped
from calcilens.imaging.study import Study
from calcilens.models import views
from calcilens.models.abstention import REASONS, Reason
from calcilens.models.ensemble import Prediction
from calcilens.vocabulary import PATTERN_KEYS

STUDY_UID, SERIES_UID, FRAME_UID = "1.2.826.1", "1.2.826.1.1", "1.2.826.1.9"


class Said(NamedTuple):
    finding: Tensor
    pattern: Tensor
    concern: Tensor


class FakeNetwork(nn.Module):
    """Answers by the brightness of the lesion's surroundings, and of nothing else.

    Args:
        spot: (y, x) in patch pixels: if given, only brightness there counts.
        inside: Patterns in the conformal set; None for a network without sets.
        why: Why finding, pattern and concern have no answer.
    """

    def __init__(
        self,
        spot: tuple[int, int] | None = None,
        view: int = 64,
        *,
        inside: Sequence[str] | None = None,
        why: tuple[Reason, Reason, Reason] = (Reason.ANSWERED,) * 3,
    ) -> None:
        super().__init__()
        self.sets = SimpleNamespace(fitted=inside is not None)
        self.inside, self.why = inside or (), why
        self.encoder = nn.Conv2d(5, 8, 4, stride=4, bias=False)
        generator = torch.Generator().manual_seed(1)
        self.encoder.weight.data = torch.randn(self.encoder.weight.shape, generator=generator)
        self.encoder.weight.data[0] = 1 / 80
        self.mixing = nn.Parameter(torch.tensor([1.0] + [0.0] * 7))
        self.spot, self.view = spot, view

    @property
    def first(self) -> FakeNetwork:
        return self

    @property
    def spec(self) -> PatchSpec:
        return PatchSpec()

    @property
    def deepest(self) -> nn.Module:
        return self.encoder

    def windows(self, box: Tensor, extent_mm: Tensor) -> tuple[Tensor, ...]:
        near = views.lesion_window(box, 1.5, 12.0)
        far = views.context_window(box, extent_mm, 80.0, 96.0)
        return near, far

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Said:
        weight = torch.ones_like(pixels[:, :1])
        if self.spot is not None:
            weight = torch.zeros_like(weight)
            y, x = self.spot
            weight[:, :, y - 1 : y + 2, x - 1 : x + 2] = 1
        total = torch.zeros(len(pixels))
        for window in self.windows(box, extent_mm):
            seen = self.encoder(views.sample(pixels, window, self.view))
            where = views.sample(weight, window, seen.shape[-1])
            mixed = torch.einsum("bchw,c->bhw", seen, self.mixing)
            total = total + (mixed * where[:, 0]).mean((1, 2))
        pattern = torch.zeros(len(pixels), len(PATTERN_KEYS))
        pattern[:, :3] = torch.tensor([0.6, 0.3, 0.1])
        return Said(total, pattern, total)

    def predict(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Prediction:
        said: Said = self(pixels, box, extent_mm)
        return Prediction(
            said.finding.sigmoid(),
            said.pattern,
            said.concern.sigmoid(),
            torch.full((len(pixels),), 0.25),
            torch.tensor([[key in self.inside for key in PATTERN_KEYS]]),
            torch.tensor([[REASONS.index(reason) for reason in self.why]]),
        )


def card(**changes: Any) -> dict[str, Any]:
    facts = {
        "name": "fake",
        "version": "1",
        "modality": "CT",
        "heads": ["finding", "pattern", "concern"],
        "patterns": list(PATTERN_KEYS[:3]),
        "concern_thresholds": [0.3, 0.6],
        "limits": ["made for <tests> & nothing else"],
    }
    return facts | changes


@dataclass
class FakeModel:
    network: Any = field(default_factory=FakeNetwork)
    card: dict[str, Any] = field(default_factory=card)
    sha256: str = "0" * 64
    spec: PatchSpec = field(default_factory=PatchSpec)


def ct(shape: tuple[int, int, int] = (12, 160, 160)) -> Volume:
    """A block of tissue with one dense ball at voxel (5, 60, 90)."""
    z, y, x = np.indices(shape)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 10:-10, 10:-10] = 40
    hu[(z - 5) ** 2 * 6 + (y - 60) ** 2 + (x - 90) ** 2 < 36] = 500
    affine = Affine.from_dicom([-50, -60, 7], [1, 0, 0, 0, 1, 0], [0.8, 0.8], [0, 0, 2.5])
    planes = tuple(Plane(f"{SERIES_UID}.{i}") for i in range(shape[0]))
    return Volume(hu, affine, STUDY_UID, SERIES_UID, FRAME_UID, planes)


def film(number: int = 1, spacing: tuple[float, float] | None = None) -> Radiograph:
    pixels = np.random.default_rng(number).random((120, 100)).astype(np.float32)
    shown = (255 * pixels).astype(np.uint8)
    uid = f"1.2.826.1.{number + 1}"
    plane = (Plane(f"{uid}.1"),)
    return Radiograph(pixels, shown, spacing, "not calibrated", STUDY_UID, uid, None, plane)


def lesion_in(image: Image) -> Candidate:
    box = (
        [[0, 40, 30], [1, 60, 50]] if isinstance(image, Radiograph) else [[3, 54, 84], [8, 67, 97]]
    )
    return candidate(image, box, None, "given in a test")


def study(*images: Image, skipped: tuple[Skipped, ...] = ()) -> Study:
    series = tuple(
        SeriesInfo(i.series_uid, STUDY_UID, i.modality, None, None, True, None) for i in images
    )
    kinds = tuple(sorted({i.modality for i in images}))
    return Study(STUDY_UID, "20260102", kinds, images, series, skipped)
