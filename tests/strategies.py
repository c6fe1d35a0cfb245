"""Hypothesis strategies shared by all tests."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st

from calcilens.imaging.geometry import Affine
from tests import dicom_factory as factory

PERMUTATIONS = [
    tuple(np.array(signs)[:, None] * np.eye(3)[list(order)])
    for order in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
]
"""All 48 axis permutations with flips: rows are the directions of x (row), y (column), z."""


def angles() -> st.SearchStrategy[float]:
    """Angles in radians."""
    return st.floats(-np.pi, np.pi, allow_nan=False)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    """Random rotations (3, 3): an axis permutation with flips, turned by three angles."""
    matrix = np.array(draw(st.sampled_from(PERMUTATIONS)))
    for axis in range(3):
        angle = draw(angles())
        turn = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Affines of oblique, flipped and sheared (tilted) grids."""
    m = np.eye(4)
    rotation = draw(rotations())
    spacing = [draw(st.floats(0.1, 10)) for _ in range(3)]
    m[:3, :3] = rotation.T * spacing
    m[:3, 0] += draw(st.floats(-0.4, 0.4)) * m[:3, 1]
    m[:3, 3] = [draw(st.floats(-1000, 1000)) for _ in range(3)]
    return Affine(m)


@st.composite
def shapes(draw: st.DrawFn, smallest: int = 1, largest: int = 40) -> tuple[int, int, int]:
    """Image shapes (Z, Y, X)."""
    z, y, x = (draw(st.integers(smallest, largest)) for _ in range(3))
    return z, y, x


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int, int]) -> np.ndarray:
    """Half-open boxes (2, 3) inside an image of that shape."""
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(s + 1, n)) for s, n in zip(starts, shape, strict=True)]
    return np.array([starts, stops])


@st.composite
def stored_values(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Stored CT values (3, 4, 5) over the whole range of 10 to 16 bits, and the bits stored."""
    bits, signed = draw(st.integers(10, 16)), draw(st.booleans())
    low = -(1 << (bits - 1)) if signed else 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(low, low + (1 << bits), (3, 4, 5))
    values.flat[:2] = low, low + (1 << bits) - 1
    return values.astype(np.int16 if signed else np.uint16), bits


@st.composite
def ct_series(draw: st.DrawFn, *, tilted: bool = True) -> tuple[list, np.ndarray, np.ndarray]:
    """CT series in any orientation, tilt and file order.

    Returns:
        Objects in a shuffled order, the stored values (Z, Y, X) in the order of positions, and
        the (4, 4) map from voxel (z, y, x) to mm that they were made with.
    """
    x, y, _ = draw(rotations())
    count = draw(st.integers(2, 6))
    spacing = [draw(st.sampled_from([0.4, 0.625, 0.9])), draw(st.sampled_from([0.4, 0.7]))]
    step = np.cross(x, y) * draw(st.sampled_from([0.625, 1.0, 2.5]))
    step += y * draw(st.sampled_from([0.0, 0.3] if tilted else [0.0]))
    origin = np.array([draw(st.floats(-500, 500)) for _ in range(3)])
    stored = factory.ramp((count, 5, 7))
    objects = factory.ct_slices(
        stored, orientation=(*x, *y), origin=origin, step=step, spacing=spacing
    )
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = step, y * spacing[0], x * spacing[1]
    matrix[:3, 3] = origin
    order = draw(st.permutations(range(count)))
    return [objects[i] for i in order], stored, matrix
