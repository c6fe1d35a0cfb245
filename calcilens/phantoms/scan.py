"""A CT of a person: the pose, the table, the field of view and the scanner's settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from calcilens.imaging.geometry import Affine
from calcilens.phantoms.ct import MASK_SHARE, CTImage, render_ct
from calcilens.phantoms.ct_settings import KERNELS, CTSettings
from calcilens.phantoms.pose import Pose
from calcilens.phantoms.scene import Scene
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.tubes import CORNERS, Float, Tube

_TURN, _LEAN = 0.25, 0.05
"""Widest angles of a pose, radians: a limb turns more than it tilts."""
_PLACE_MM = (-700.0, 0.0, 90.0)
"""Where a segment lies in the patient's coordinates (z, y, x), about: a left limb."""
_AROUND_MM, _MARGIN_MM = 14.0, 22.0
_LEAST_MM = 96.0
_PLANES, _SIDE_PX = 64, (256, 320)
_WIDE_MM = 190.0
_TABLE_MM = (225.0, 24.0, 1.2)
"""Half width, thickness and wall of the table top."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What a scanner sees, and how it looks.

    Args:
        scene: The posed person on the table.
        pose: Of the person.
        settings: Of the scanner.
        middle: (3,) middle of the image (z, y, x), mm.
        shape: Planes, rows and columns.
    """

    scene: Scene
    pose: Pose
    settings: CTSettings
    middle: Float
    shape: tuple[int, int, int]

    def render(self, rng: Rng) -> CTImage:
        """Simulate the image."""
        return render_ct(self.scene, self.settings, rng, self.middle, self.shape)

    how: ClassVar[dict[str, str]] = {
        "mask": f"voxels of which at least {MASK_SHARE:g} is mineral",
        "box_vox": "bounds of the mask, (z, y, x), the end not included",
    }

    @property
    def described(self) -> dict[str, Any]:
        """How it was taken."""
        pixel = self.settings.pixel_mm
        return {
            "kvp": self.settings.kvp,
            "kernel": self.settings.kernel,
            "spacing_mm": [self.settings.interval_mm, pixel, pixel],
            "noise_hu": self.settings.noise_hu,
        }

    def affine(self, image: CTImage) -> Affine:
        """Return where the voxels of an image of this scan lie."""
        pixel, step = self.settings.pixel_mm, self.settings.interval_mm
        z, y, x = image.start
        return Affine.from_dicom((x, y, z), (1, 0, 0, 0, 1, 0), (pixel, pixel), (0, 0, step))


def draw_scan(rng: Rng, scene: Scene) -> Scan:
    """Draw a pose and an acquisition that hold all lesions and the whole girth of the body."""
    shift = np.array(_PLACE_MM) * [1, 1, scene.segment.site not in ("pelvis", "thorax")]
    pose = Pose.of(
        rng.uniform(-_TURN, _TURN), rng.uniform(-_LEAN, _LEAN, 2), shift + rng.uniform(-12, 12, 3)
    )
    posed = pose.scene(scene)
    bounds = np.array([lesion.parts.box() for lesion in posed.lesions])
    low, high = bounds[:, 0, 0].min() - _MARGIN_MM, bounds[:, 1, 0].max() + _MARGIN_MM
    length = max(high - low, _LEAST_MM)
    interval = max(float(rng.choice([1.5, 2.0])), np.ceil(length / _PLANES * 10) / 10)
    planes = int(np.ceil(length / interval))
    body = _girth(posed.segment, (low + high) / 2 + np.linspace(-0.5, 0.5, 33) * length)
    wide = float((body[1] - body[0]).max()) + 2 * _AROUND_MM
    side = _SIDE_PX[wide > _WIDE_MM]
    settings = draw_settings(rng, round(wide / side, 3), interval)
    middle = np.array([(low + high) / 2, *body.mean(0)])
    segment = replace(posed.segment, tubes=(*table(body[1, 0]), *posed.segment.tubes))
    return Scan(replace(posed, segment=segment), pose, settings, middle, (planes, side, side))


def _girth(segment: Segment, heights: Float) -> Float:
    """Return the bounds (2, 2) of the skin at some heights, (y, x)."""
    corners = segment.skin.outlines(heights).reshape(-1, 2)
    return np.stack([corners.min(0), corners.max(0)])


def draw_settings(rng: Rng, pixel_mm: float, interval_mm: float) -> CTSettings:
    """Draw the settings of a good-quality scan of a limb."""
    kernel = str(rng.choice(["soft", "standard"]))
    return CTSettings(
        kvp=float(rng.choice([100, 120])),
        pixel_mm=pixel_mm,
        thickness_mm=interval_mm,
        interval_mm=interval_mm,
        kernel=kernel,
        sigma_mm=round(float(rng.uniform(*KERNELS[kernel]["sigma_mm"])), 3),
        boost=round(float(rng.uniform(*KERNELS[kernel]["boost"])), 3),
        noise_hu=round(float(rng.uniform(8, 13)), 1),
    )


@dataclass(frozen=True, eq=False)
class Slab(Tube):
    """A rectangle at every height: part of a table top.

    Args:
        corners: (4, 2) as (y, x), mm.
    """

    corners: Float = field(default_factory=lambda: np.zeros((4, 2)))

    def outlines(self, z: ArrayLike) -> Float:
        """Return the corners (N, CORNERS, 2), each of the four many times."""
        count = len(np.atleast_1d(np.asarray(z, float)))
        corners = np.repeat(self.corners, CORNERS // 4, axis=0)
        return np.asarray(np.broadcast_to(corners, (count, CORNERS, 2)))


def table(top_mm: float) -> tuple[Slab, Slab]:
    """Return a table top whose surface lies at y = top_mm: a thin hard shell around foam."""
    wide, thick, wall = _TABLE_MM
    shell, foam = (
        np.array([(y, x) for y, x in ((top, -half), (top, half), (base, half), (base, -half))])
        for top, base, half in (
            (top_mm, top_mm + thick, wide),
            (top_mm + wall, top_mm + thick - wall, wide - wall),
        )
    )
    z, path, nothing = np.array([-1e4, 1e4]), np.zeros((2, 2)), np.zeros((2, CORNERS))
    return (
        Slab("plastic", z, path, nothing, "air", shell),
        Slab("gas", z, path, nothing, "plastic", foam),
    )
