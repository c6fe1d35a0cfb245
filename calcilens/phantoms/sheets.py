"""Lesions that are plates: along fascia and muscle, at the edge of a mass, in cartilage."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import View, log_uniform, placed, within
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids
from calcilens.phantoms.tubes import Tube


def plates(
    rng: Rng,
    points: Float,
    normals: Float,
    along: Float,
    *,
    wide: Float,
    thin: Float,
    density: float,
) -> Solids:
    """Return thin discs (N) lying on a surface given by points and normals (N, 3)."""
    axes = np.stack([places.frame(n, a) for n, a in zip(normals, along, strict=True)])
    n = len(points)
    radii = np.stack([thin, wide * rng.uniform(0.8, 1.4, n), wide], 1)
    return solids(points, radii, density * rng.uniform(0.6, 1.2, n), axes=axes, edge=0.35)


def sheet_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw plates along the fascia, between muscles or under the skin."""
    surface = _plane_of_tissue(rng, segment)
    z0, angle0 = rng.uniform(-40, 40), rng.uniform(0, 2 * np.pi)
    reach = max(float(surface.at(z0)[1].mean()), 8.0)
    wide = min(size / 2 / reach, np.pi * 0.9)
    tall = size / 2 * rng.uniform(0.5, 1.0)
    layers = int(rng.choice([1, 1, 1, 2]))
    count = int(np.clip(size * rng.uniform(0.6, 1.2), 12, 80))
    points: list[Float] = []
    normals: list[Float] = []
    for _ in range(count):
        z, angle = z0 + rng.uniform(-1, 1) * tall, angle0 + rng.uniform(-1, 1) * wide
        point, normal = surface.surface(z, angle)
        point = point - normal * rng.integers(0, layers) * 5.0 + normal * rng.normal(0, 0.3)
        if not points or segment.bone_clearance(point) > 1:
            points.append(point)
            normals.append(normal)
    count = len(points)
    up = np.tile([1.0, 0, 0], (count, 1))
    disc = np.clip(size * rng.uniform(0.05, 0.12, count), 2.0, 8.0)
    solid = plates(
        rng, np.array(points), np.array(normals), up, wide=disc,
        thin=rng.uniform(0.5, 1.5, count), density=log_uniform(rng, 0.2, 0.8),
    )  # fmt: skip
    return Lesion(("sheet_like",), "sheet_like", solid, solid.box(), rough_mm=0.6, grain=0.25)


def _plane_of_tissue(rng: Rng, segment: Segment) -> Tube:
    """Return the deep fascia, the outline of a large muscle, or a surface in the fat."""
    kind = rng.random()
    if kind < 0.5:
        return segment.fascia
    if kind < 0.8:
        few: list[Tube] = [segment.muscles[i] for i in rng.integers(len(segment.muscles), size=3)]
        sizes = [float(muscle.radius.mean()) for muscle in few]
        return few[sizes.index(max(sizes))]
    return segment.skin.grown(-rng.uniform(2.5, 5.0), "fat", "fat")


def plaque_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a fusiform mass in a muscle with plates at its edge and a liquefied centre."""
    place = _spindle(rng, segment, size)
    across = size / 2 * rng.uniform(0.3, 0.5, 2)
    radii = np.array([size / 2, *np.minimum(across, max(place.room_mm, 6.0))])
    body = solids(place.point, radii, 0, tissue="oedema", axes=place.axes, edge=0.1)
    liquid = solids(place.point, radii * 0.82, 0, tissue="fluid", axes=place.axes, edge=0.2)
    count = int(np.clip(size * rng.uniform(0.6, 1.1), 20, 70))
    towards = within(rng, count, 0.999, 1.0)
    towards = towards[np.abs(towards[:, 0]) < 0.85]  # plates that meet at the tips make a star
    towards = towards[np.argsort(towards[:, 1])][: int(count * rng.uniform(0.6, 1.0))]
    points = placed(place, towards * radii * 0.94)
    normals = (towards / radii) @ place.axes
    disc = np.clip(size * rng.uniform(0.05, 0.11, len(points)), 2.0, 8.0)
    edge = plates(
        rng, points, normals, np.tile(place.axes[0], (len(points), 1)), wide=disc,
        thin=rng.uniform(0.7, 1.8, len(points)), density=log_uniform(rng, 0.25, 0.8),
    )  # fmt: skip
    solid = joined([body, liquid, edge])
    box = joined([body, edge]).box()
    return Lesion(("plaque_like",), "plaque_like", solid, box, rough_mm=size * 0.01, grain=0.2)


def _spindle(rng: Rng, segment: Segment, size: float) -> places.Place:
    """Return the roomiest of several places in muscle, looked at over a length in mm."""

    def room(place: places.Place) -> float:
        ends = place.point + np.array([[-0.35], [0.0], [0.35]]) * size * place.axes[0]
        return min(segment.bone_clearance(end) for end in ends)

    return max((places.in_muscle(rng, segment, size * 0.2) for _ in range(8)), key=room)


def linear_chondral(rng: Rng, segment: Segment, size: float, view: View = "axial") -> Lesion:
    """Draw a thin line parallel to a joint surface, in its cartilage.

    It is a layer of mineral, and a line where the image looks along it: beside the bone's end
    in an axial plane, over its end from the front.
    """
    bone = segment.bones[rng.integers(len(segment.bones))]
    over = rng.random() < (0.85 if view == "frontal" else 0.0)
    points, normals = (_over_end if over else _beside_end)(rng, bone, size)
    count = len(points)
    solid = plates(
        rng, points, normals, np.tile([0.2, 0.7, 0.7], (count, 1)),
        wide=np.full(count, rng.uniform(0.9, 1.3)), thin=np.full(count, rng.uniform(0.35, 0.7)),
        density=log_uniform(rng, 0.35, 0.9),
    )  # fmt: skip
    return Lesion(
        ("linear_chondral",), "linear_chondral", solid, solid.box(), rough_mm=0.15, grain=0.2
    )


def _end_of(bone: Tube) -> tuple[float, int]:
    """Return the height of a bone's end at the joint, and the side of the joint it lies on."""
    side = 1 if bone.z.mean() > 0 else -1
    return float(bone.z[0] if side > 0 else bone.z[-1]), side


def _directions(rng: Rng, size: float, reach: float) -> Float:
    """Return directions along an arc of a length in mm, with gaps."""
    half = min(size / 2 / reach, 1.6)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(-half, half, 0.9 / reach)
    wave = np.sin(np.arange(len(angles)) * rng.uniform(0.05, 0.3))
    return np.asarray(angles[wave > rng.uniform(-1.3, -0.6)])


def _over_end(rng: Rng, bone: Tube, size: float) -> tuple[Float, Float]:
    """Return points and normals of a layer over a bone's end: an arc as wide as its outer part."""
    end, side = _end_of(bone)
    centre, radius = bone.at(end + 12 * side)
    reach = float(radius.mean())
    angles = _directions(rng, size, reach)
    away = rng.uniform(1.0, 1.8)
    shares = np.arange(rng.uniform(0.6, 0.8), 0.97, 1.2 / reach)
    ring = np.stack([np.sin(angles), np.cos(angles)], 1)
    flat = centre[0] + (shares[:, None, None] * reach * ring).reshape(-1, 2)
    points = np.column_stack([np.full(len(flat), end - side * away), flat])
    return points, np.tile([1.0, 0.0, 0.0], (len(points), 1))


def _beside_end(rng: Rng, bone: Tube, size: float) -> tuple[Float, Float]:
    """Return points and normals of a layer along the side of a bone's end."""
    end, side = _end_of(bone)
    angles = _directions(rng, size, float(bone.at(end + 12 * side)[1].mean()))
    away = rng.uniform(2.0, 3.4)
    heights = end + side * np.arange(rng.uniform(9, 12), rng.uniform(14, 20), 0.7)
    drawn = [bone.surface(float(z), float(angle)) for z in heights for angle in angles]
    points, normals = (np.array(part) for part in zip(*drawn, strict=True))
    return points + normals * away, normals
