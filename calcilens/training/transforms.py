"""Augmentation of lesions as MONAI transforms: box and mask move with the pixels.

What happens to place and to Hounsfield units happens to the patch as it is stored, before it is
scaled, so that all windows of it agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from monai.transforms import (
    Compose,
    MapTransform,
    RandomizableTransform,
)
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.data_manifests.schema import Manifest
from calcilens.imaging.patches import PatchSpec
from calcilens.training.samples import CutLesion, Sample, ScaleLesion

CT_GAMMA = (0.86, 1.16)
RADIOGRAPH_GAMMA = (0.7, 1.45)
"""Vendors' curves differ more between radiographs than anything does within a plane of CT."""


class RandLesionFlipd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Mirror, transpose and reverse planes at random.

    Reversing planes (head to foot) is as harmless as mirroring: lesions have no handedness.
    """

    def __init__(self, prob: float = 0.5, plane_prob: float = 0.3) -> None:
        MapTransform.__init__(self, ["pixels", "box", "extent_mm", "mask"])
        RandomizableTransform.__init__(self, 1.0)
        self.prob, self.plane_prob = prob, plane_prob

    def randomize(self, data: Any = None) -> None:
        """Draw which of the four happen."""
        draws = self.R.random(4)
        self.flip_y, self.flip_x, self.swap = (bool(d < self.prob) for d in draws[:3])
        self.flip_z = bool(draws[3] < self.plane_prob)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Apply what was drawn to pixels (P, S, S), mask, box (4,) and extent_mm (3,)."""
        self.randomize()
        d = dict(data)
        (y0, x0, y1, x1), (ez, ey, ex) = d["box"], d["extent_mm"]
        side = d["pixels"].shape[-1]
        if self.flip_y:
            y0, y1 = side - y1, side - y0
        if self.flip_x:
            x0, x1 = side - x1, side - x0
        if self.swap:
            (y0, x0, y1, x1), (ey, ex) = (x0, y0, x1, y1), (ex, ey)
        d["box"] = np.array([y0, x0, y1, x1], np.float32)
        d["extent_mm"] = np.array([ez, ey, ex], np.float32)
        d["pixels"] = self._moved(d["pixels"])
        d["mask"] = None if d["mask"] is None else self._moved(d["mask"])
        return d

    def _moved(self, planes: NDArray[np.generic]) -> NDArray[np.generic]:
        z, y, x = (-1 if f else 1 for f in (self.flip_z, self.flip_y, self.flip_x))
        planes = planes[::z, ::y, ::x]
        return np.ascontiguousarray(planes.transpose(0, 2, 1) if self.swap else planes)


class RandBoxJitterd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Draw the box a little elsewhere, as another reader or a detector would.

    Args:
        shift: Largest shift, in units of the box.
        scale: Largest change of each side, as a fraction.
    """

    LEAST_PX = 2.0

    def __init__(self, shift: float = 0.1, scale: float = 0.2) -> None:
        MapTransform.__init__(self, ["box", "extent_mm"])
        RandomizableTransform.__init__(self, 1.0)
        self.shift, self.scale = shift, scale

    def randomize(self, data: Any = None) -> None:
        """Draw shift and scale along (y, x)."""
        self.shifts = self.R.uniform(-self.shift, self.shift, 2)
        self.scales = 1 + self.R.uniform(-self.scale, self.scale, 2)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Move box (4,); extent_mm (3,) grows with it."""
        self.randomize()
        d = dict(data)
        box = np.asarray(d["box"], np.float64)
        size, centre = box[2:] - box[:2], (box[2:] + box[:2]) / 2
        new_size = np.maximum(size * self.scales, self.LEAST_PX)
        centre = centre + self.shifts * size
        d["box"] = np.concatenate([centre - new_size / 2, centre + new_size / 2]).astype(np.float32)
        grown = np.concatenate([[1.0], new_size / size])
        d["extent_mm"] = (d["extent_mm"] * grown).astype(np.float32)
        return d


class RandForgetSpacingd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Forget how large the lesion is in mm, as a picture without spacing does."""

    def __init__(self, prob: float = 0.2) -> None:
        MapTransform.__init__(self, ["extent_mm"])
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Make extent_mm (3,) NaN."""
        self.randomize(None)
        d = dict(data)
        if self._do_transform:
            d["extent_mm"] = np.full_like(d["extent_mm"], np.nan)
        return d


class RandShiftHounsfieldd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Change HU as another scanner, tube voltage or calibration would; other units are left alone.

    Args:
        offset_hu: Largest offset.
        scale: Largest change of the distance to water, as a fraction.
    """

    def __init__(self, offset_hu: float = 15.0, scale: float = 0.08) -> None:
        MapTransform.__init__(self, ["pixels"])
        RandomizableTransform.__init__(self, 1.0)
        self.offset_hu, self.scale = offset_hu, scale

    def randomize(self, data: Any = None) -> None:
        """Draw offset and factor."""
        self.offset = self.R.uniform(-self.offset_hu, self.offset_hu)
        self.factor = 1 + self.R.uniform(-self.scale, self.scale)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Change pixels (P, S, S) where they are HU."""
        self.randomize()
        d = dict(data)
        if d["calibrated"]:
            d["pixels"] = d["pixels"].astype(np.float32) * self.factor + self.offset
        return d


class RandMineralContrastd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Change how far mineral stands out of soft tissue, as another tube voltage would.

    From 80 to 140 kVp the HU of mineral fall by nearly half, and those of soft tissue hardly.

    Args:
        factor: Smallest and largest change of the distance to soft tissue.
        prob: How often.
    """

    SOFT_TISSUE_HU = 70.0

    def __init__(self, factor: tuple[float, float] = (0.75, 1.35), prob: float = 0.5) -> None:
        MapTransform.__init__(self, ["pixels"])
        RandomizableTransform.__init__(self, prob)
        self.ends = np.log(factor)

    def randomize(self, data: Any = None) -> None:
        """Draw whether, and the factor."""
        super().randomize(None)
        self.factor = float(np.exp(self.R.uniform(*self.ends)))

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Change pixels (P, S, S) where they are HU."""
        self.randomize()
        d = dict(data)
        if self._do_transform and d["calibrated"]:
            above = np.maximum(d["pixels"].astype(np.float32) - self.SOFT_TISSUE_HU, 0)
            d["pixels"] = d["pixels"] + above * np.float32(self.factor - 1)
        return d


class RandSharpnessd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Blur or sharpen planes, as another kernel, detector or processing would.

    Args:
        hu_only: Leave planes alone that are not in HU: crops that were scaled by their own range
            keep it, and what sharpening overshoots would move it.
        sigma: Range of the Gaussian, pixels.
        gain: Range of what becomes of detail finer than it: -1 removes it, 1 doubles it.
        prob: How often.
    """

    def __init__(
        self,
        *,
        hu_only: bool = False,
        sigma: tuple[float, float] = (0.5, 1.2),
        gain: tuple[float, float] = (-1.0, 1.0),
        prob: float = 0.4,
    ) -> None:
        MapTransform.__init__(self, ["pixels"])
        RandomizableTransform.__init__(self, prob)
        self.hu_only, self.ranges = hu_only, (sigma, gain)

    def randomize(self, data: Any = None) -> None:
        """Draw whether, width and gain."""
        super().randomize(None)
        self.sigma, self.gain = (float(self.R.uniform(*ends)) for ends in self.ranges)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Change pixels (P, S, S)."""
        self.randomize()
        d = dict(data)
        if self._do_transform and (d["calibrated"] or not self.hu_only):
            pixels = d["pixels"].astype(np.float32)
            blurred = ndimage.gaussian_filter(pixels, (0, self.sigma, self.sigma), truncate=3.0)
            d["pixels"] = pixels + np.float32(self.gain) * (pixels - blurred)
        return d


class RandToneCurved(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Put brightness through a curve that never falls, as vendors' processing does.

    Args:
        steps: Pieces of the curve, alike in width.
        evenness: The larger, the nearer the curve is to a straight line.
        prob: How often.
    """

    def __init__(self, steps: int = 5, evenness: float = 4.0, prob: float = 0.5) -> None:
        MapTransform.__init__(self, ["pixels"])
        RandomizableTransform.__init__(self, prob)
        self.steps, self.evenness = steps, evenness

    def randomize(self, data: Any = None) -> None:
        """Draw whether, and the curve."""
        super().randomize(None)
        rises = self.R.dirichlet(np.full(self.steps, self.evenness))
        self.curve = np.concatenate([[0.0], rises.cumsum()])

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Change pixels (channels, S, S) in 0..1."""
        self.randomize()
        d = dict(data)
        if self._do_transform:
            places = np.linspace(0, 1, self.steps + 1)
            d["pixels"] = np.interp(d["pixels"], places, self.curve).astype(np.float32)
        return d


class RandForgetHounsfieldd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Forget that pixels are HU, so that a network learns to do without as well as with."""

    def __init__(self, prob: float = 0.15) -> None:
        MapTransform.__init__(self, ["calibrated"])
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Set `calibrated` to false: scaling then leaves the windows of HU empty."""
        self.randomize(None)
        d = dict(data)
        d["calibrated"] = d["calibrated"] and not self._do_transform
        return d


class RandRelativeIntensityd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Change contrast and brightness, and add noise, where brightness is relative anyway.

    Windows of HU, which come after the first planes, keep their meaning. In numpy: MONAI's own
    transforms take five times as long for it.

    Args:
        planes: Number of planes whose brightness is relative.
        gamma: Range of the exponent of contrast.
        factor: Largest change of brightness, as a fraction.
        noise: Largest standard deviation of the noise.
        prob: Probability of each of contrast and brightness; noise comes every second time.
    """

    def __init__(
        self,
        planes: int,
        gamma: tuple[float, float],
        *,
        factor: float = 0.08,
        noise: float = 0.02,
        prob: float = 0.7,
    ) -> None:
        MapTransform.__init__(self, ["pixels"])
        RandomizableTransform.__init__(self, 1.0)
        self.planes, self.ranges = planes, (gamma, (1 - factor, 1 + factor), (0.0, noise))
        self.probs = (prob, prob, 0.5)

    def randomize(self, data: Any = None) -> None:
        """Draw exponent, factor and noise."""
        drawn = [self.R.uniform(*ends) for ends in self.ranges]
        happens = self.R.random(3) < self.probs
        pairs = zip(drawn, (1.0, 1.0, 0.0), happens, strict=True)
        self.gamma, self.factor, self.noise = (new if does else old for new, old, does in pairs)
        self.noise_seed = int(self.R.randint(2**31))

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Change the first planes of pixels (channels, S, S) and keep them in 0..1."""
        self.randomize()
        d = dict(data)
        pixels = d["pixels"].copy()
        changed = pixels[: self.planes] ** np.float32(self.gamma) * np.float32(self.factor)
        if self.noise:
            rng = np.random.default_rng(self.noise_seed)
            changed += self.noise * rng.standard_normal(changed.shape, np.float32)
        pixels[: self.planes] = changed.clip(0, 1)
        d["pixels"] = pixels
        return d


class Augmentation(Compose):  # type: ignore[misc] # untyped
    """Transforms that draw from one stream: seeding each of them takes a fifth of the time."""

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> Augmentation:
        """Start the stream."""
        self.R = np.random.RandomState(seed) if state is None else state
        for transform in self.transforms:
            if isinstance(transform, RandomizableTransform):
                transform.R = self.R
        return self


def augmentation(spec: PatchSpec) -> Augmentation:
    """Return the augmentation of training: of patches as stored, scaled on the way."""
    film = spec.intensity == "percentile"
    place = [RandBoxJitterd(), RandLesionFlipd(), RandForgetSpacingd()]
    hounsfield = [RandMineralContrastd(), RandShiftHounsfieldd(), RandForgetHounsfieldd()]
    tone = [RandToneCurved()] if film else []
    relative = RandRelativeIntensityd(spec.planes, RADIOGRAPH_GAMMA if film else CT_GAMMA)
    machine = RandSharpnessd(hu_only=not film)
    return Augmentation([*place, machine, *hounsfield, ScaleLesion(spec), *tone, relative])


class VaryLesion:
    """Make a sample of a manifest row as training varies it."""

    def __init__(self, manifest: Manifest, spec: PatchSpec) -> None:
        self.cut, self.augmentation = CutLesion(manifest, spec), augmentation(spec)

    def __call__(self, row: Mapping[str, Any], seed: int) -> Sample:
        """Return what `LoadLesion` returns, as the augmentation of `seed` leaves it."""
        varied: Sample = self.augmentation.set_random_state(seed=seed)(self.cut(row))
        return varied
