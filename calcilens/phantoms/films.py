"""Radiographs of a person: two views, each with its beam, field and detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from calcilens.phantoms.frames import Frame
from calcilens.phantoms.pose import Pose
from calcilens.phantoms.radiograph import (
    MASK_SHARE,
    RadiographImage,
    projected_box,
    render_radiograph,
)
from calcilens.phantoms.scene import Scene
from calcilens.phantoms.segment import Rng, Segment, posed
from calcilens.phantoms.solids import Float
from calcilens.phantoms.xray_settings import XRay, draw_xray

VIEWS = ("ap", "lateral")
BITS = 12
_TURN, _TILT = 0.2, 0.1
"""Widest angles, radians: of the limb about its axis, and of the limb on the film."""
_LENGTH_MM, _BESIDE_MM, _BLADE_MM = 230.0, 16.0, 7.0
_PIXEL_MM = 0.2


@dataclass(frozen=True, eq=False)
class View:
    """A radiograph from one side.

    Args:
        name: ap or lateral.
        scene: The person, turned so that the beam runs along y.
        xray: Settings.
        centre: (2,) middle of the image (z, x), mm.
        shape: Rows and columns.
    """

    name: str
    scene: Scene
    xray: XRay
    centre: Float
    shape: tuple[int, int]

    @property
    def frame(self) -> Frame:
        """Where the pixels lie."""
        return Frame(self.centre, self.xray.spacing_mm, self.shape, self.xray.turn)

    def render(self, rng: Rng) -> RadiographImage:
        """Simulate the image."""
        return render_radiograph(self.scene, self.xray, rng, self.centre, self.shape)


@dataclass(frozen=True, eq=False)
class Films:
    """Both views of a person.

    Args:
        pose: Of the person in the ap view.
        views: In the order of `VIEWS`.
    """

    pose: Pose
    views: tuple[View, ...]

    how: ClassVar[dict[str, str]] = {
        "mask": f"pixels with at least {MASK_SHARE:g} of the most mineral that a ray passes",
        "box_px": "bounds of the mask: x0, y0, x1, y1, the end not included",
        "visible": "contrast of the mineral over noise and clutter in a square millimetre, median "
        "over the mask; below 2.5 a lesion can hardly be seen in that view",
    }

    @property
    def scene(self) -> Scene:
        """The person in the ap view."""
        return self.views[0].scene

    @cached_property
    def described(self) -> dict[str, Any]:
        """How it was taken."""
        return {
            view.name: {
                "kvp": view.xray.kvp,
                "processing": view.xray.processing,
                "spacing_mm": [round(view.xray.spacing_mm, 5)] * 2,
                "magnification": view.xray.magnification,
            }
            for view in self.views
        }


def draw_films(rng: Rng, scene: Scene) -> Films:
    """Draw how a person is radiographed from the front and from the left."""
    turn = rng.uniform(-_TURN, _TURN)
    pose = Pose.of(turn, (0, 0), (0, 0, 0))
    xray = replace(
        draw_xray(rng, "usual", scene.segment.site),
        pixel_mm=_PIXEL_MM,
        bits=BITS,
        masked=True,
        marker="L",
        burnt_in=False,
    )
    views = (_view(rng, n, _turned(scene, turn + n * np.pi / 2), xray) for n in range(len(VIEWS)))
    return Films(pose, tuple(views))


def _turned(scene: Scene, turn: float) -> Scene:
    """Return a scene turned about z, with plain tubes, as projections need them."""
    pose = Pose.of(turn, (0, 0), (0, 0, 0))
    segment = posed(scene.segment, -turn, np.zeros(2), np.zeros(2))
    return Scene(segment, tuple(pose.lesion(one) for one in scene.lesions))


def _view(rng: Rng, number: int, scene: Scene, xray: XRay) -> View:
    """Centre the film on the limb, blades a little inside its edges."""
    xray = replace(xray, turn=float(rng.uniform(-_TILT, _TILT)))
    heights = np.linspace(-0.5, 0.5, 25) * _LENGTH_MM
    low, high = _width(scene.segment, heights, xray.turn)
    centre = np.array([rng.uniform(-8, 8), (low + high) / 2])
    wide = high - low + 2 * _BESIDE_MM
    shape = (round(_LENGTH_MM / xray.spacing_mm), round(wide / xray.spacing_mm))
    frame = Frame(centre, xray.spacing_mm, shape, xray.turn)
    first, last = projected_box(scene.lesions[0], frame) * xray.spacing_mm
    edge = np.array(shape) * xray.spacing_mm - _BLADE_MM
    top, left = (float(mm) for mm in first - _BLADE_MM)
    bottom, right = (float(mm) for mm in edge - last)
    xray = replace(xray, blades_mm=(top, bottom, left, right))
    return View(VIEWS[number], scene, xray, centre, shape)


def _width(segment: Segment, heights: Float, turn: float) -> tuple[float, float]:
    """Return where the skin begins and ends along x on a film turned by an angle, mm."""
    x = segment.skin.outlines(heights)[..., 1] * np.cos(turn)
    lean = heights[:, None] * np.sin(turn)
    return float((x - abs(lean)).min()), float((x + abs(lean)).max())
