"""What real images and phantoms are compared by: windows of tissue, lesions, radiographs.

Both sides go through the same cuts, scales and 256 grey levels, and are paired by content, so
that how much bone or air is in view, or how large a lesion is, tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import Manifest, box_of, plain_rows, truth
from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.imaging.patches import PatchSpec, cut

Field = NDArray[np.float32]
SIDE_PX = 64
WINDOW_MM = 32.0
WINDOW_HU = (-160.0, 240.0)
BLOCK_MM = 64.0
"""Windows of one block of this size are of one group: neighbours are not independent."""
LESION_PX, RADIOGRAPH_PX = 128, 128
MOST = 400
_POOL, _LEAST_EACH, _TRIES = 3 * MOST, 4, 8
_EDGES_HU = (-300.0, -30.0, 20.0, 130.0, 300.0)
_LEAST_RANGE = 0.02
"""Of a radiograph's own range: what varies less is air or collimation."""


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of one side of a comparison.

    Args:
        pixels: (N, S, S) in 0..1.
        content: (N, K) what pictures are paired by.
        group: (N,) which of them are of one person, or of one block of a body.
    """

    pixels: Field
    content: NDArray[np.float64]
    group: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, chosen: NDArray[Any]) -> Views:
        """Return some of them."""
        return Views(self.pixels[chosen], self.content[chosen], self.group[chosen])


@dataclass(frozen=True, eq=False)
class _Plane:
    """A plane to cut windows from.

    Args:
        hu: (Y, X).
        spacing_mm: (y, x).
        name: Of its person or series.
        height_mm: Where it lies in the series.
        box: (2, 2) of a lesion that windows keep clear of, or None.
    """

    hu: NDArray[np.generic]
    spacing_mm: tuple[float, float]
    name: str
    height_mm: float | None = None
    box: NDArray[np.int64] | None = None

    def group(self, y: int, x: int) -> str:
        """Return the group of a window that starts there."""
        if self.height_mm is None:
            return self.name
        place = np.array([self.height_mm, y * self.spacing_mm[0], x * self.spacing_mm[1]])
        return f"{self.name} {(place // BLOCK_MM).astype(int).tolist()}"


def matched(real: Views, phantom: Views, most: float) -> tuple[Views, Views]:
    """Pair pictures of both sides by content, each used once.

    Args:
        real: One side.
        phantom: The other.
        most: Largest sum of differences of content within a pair.
    """
    rng = np.random.default_rng(0)
    free = np.ones(len(phantom), bool)
    pairs: list[tuple[int, int]] = []
    for i in rng.permutation(len(real)):
        apart = np.where(free, np.abs(phantom.content - real.content[i]).sum(1), np.inf)
        nearest = int(apart.argmin())
        if apart[nearest] <= most and len(pairs) < MOST:
            free[nearest] = False
            pairs.append((i, nearest))
    index = np.array(pairs, int).reshape(-1, 2)
    return real.part(index[:, 0]), phantom.part(index[:, 1])


def tissue_of_volumes(images: Iterable[Image]) -> Views:
    """Cut windows of soft tissue from CT series."""
    volumes = [image for image in images if isinstance(image, Volume)]
    planes = [
        _Plane(plane, v.spacing_mm[1:], v.series_uid, z * v.spacing_mm[0])
        for v in volumes
        for z, plane in enumerate(v.hu)
    ]
    return _windows(planes, most=_most_each(len(planes)))


def tissue_of_manifest(manifest: Manifest) -> Views:
    """Cut windows of soft tissue from the surroundings of lesions in HU."""
    return _windows(_planes(manifest), most=_most_each(len(manifest)))


def _planes(manifest: Manifest) -> Iterator[_Plane]:
    for row in plain_rows(manifest.frame):
        spacing = (row["spacing_y_mm"], row["spacing_x_mm"])
        in_hu = row["modality"] == "CT" and row["image_kind"] in ("nifti", "dicom")
        if in_hu and None not in spacing and row["key_plane"] is not None:
            plane = load_stack(manifest, row)[row["key_plane"]]
            yield _Plane(plane, spacing, row["patient_key"], box=box_of(row)[:, 1:])


def _most_each(images: int) -> int:
    """Return how many windows of each image give enough to pair."""
    return max(_LEAST_EACH, -(-_POOL // max(images, 1)))


def _windows(planes: Iterable[_Plane], most: int) -> Views:
    rng = np.random.default_rng(1)
    pixels, contents, groups = [], [], []
    for plane in planes:
        drawn = ((hu, _content(hu), group) for hu, group in _cuts(rng, plane, _TRIES * most))
        kept = (one for one in drawn if _is_soft_tissue(one[1]))
        for hu, content, group in islice(kept, most):
            pixels.append(_grey(hu, *WINDOW_HU))
            contents.append(content)
            groups.append(group)
    return _views(pixels, contents, groups, SIDE_PX)


def _cuts(rng: np.random.Generator, plane: _Plane, count: int) -> Iterator[tuple[Field, str]]:
    """Yield windows (SIDE_PX, SIDE_PX) of a plane in HU, at random places."""
    size = np.rint(WINDOW_MM / np.array(plane.spacing_mm)).astype(int)
    room = np.array(plane.hu.shape) - size
    for y, x in rng.integers(0, room + 1, (count, 2)) if (room >= 0).all() else ():
        start, stop = np.array([y, x]), np.array([y, x]) + size
        if plane.box is None or (start >= plane.box[1]).any() or (stop <= plane.box[0]).any():
            window = plane.hu[y : stop[0], x : stop[1]]
            yield _resized(window, SIDE_PX), plane.group(int(y), int(x))


def _resized(window: NDArray[np.generic], side: int) -> Field:
    stored = torch.from_numpy(window.astype(np.float32))[None, None]
    shape = (side, side)
    resized = torch.nn.functional.interpolate(stored, shape, mode="bilinear", antialias=True)
    return np.asarray(resized[0, 0].numpy())


def _content(hu: Field) -> NDArray[np.float64]:
    """Return the shares of air, fat, between, soft, contrast and bone, and how noisy it is."""
    shares = np.bincount(np.digitize(hu.ravel(), _EDGES_HU), minlength=6) / hu.size
    inner = hu[1:-1, 1:-1]
    rough = 4 * inner - hu[:-2, 1:-1] - hu[2:, 1:-1] - hu[1:-1, :-2] - hu[1:-1, 2:]
    noise = np.log2(np.median(np.abs(rough)) + 1)
    return np.append(shares, 0.1 * noise)


def _is_soft_tissue(content: NDArray[np.float64]) -> bool:
    air, fat, between, soft, contrast, bone = content[:6]
    return bool(air <= 0.1 and fat + between + soft >= 0.7 and contrast <= 0.25 and bone <= 0.2)


def lesions_of(manifest: Manifest, site: str | None = None) -> Views:
    """Cut calcified lesions from CT, in relative brightness as where HU are lost."""
    frame = truth(manifest.frame)
    kept = (frame["finding_truth"] == 1) & (frame["modality"] == "CT")
    if site is not None:
        kept &= frame["site"] == site
    spec = PatchSpec(planes=1, size=LESION_PX)
    pixels, contents, groups = [], [], []
    for row in plain_rows(frame[kept]):
        box = box_of(row)
        patch = cut(load_stack(manifest, row), box, np.ones(3), spec, key_plane=row["key_plane"])
        if patch.pixels.shape[-1] == LESION_PX:
            pixels.append(_grey(patch.pixels[0], 0.0, 1.0))
            contents.append(np.log2((box[1] - box[0])[1:].max(keepdims=True)))
            groups.append(row["patient_key"])
    return _views(pixels, contents, groups, LESION_PX)


def radiographs_of(images: Iterable[Image]) -> Views:
    """Cut windows from radiographs."""
    named = [(i.pixels, i.series_uid) for i in images if isinstance(i, Radiograph)]
    return _radiograph_windows(named, each=_most_each(len(named)))


def radiographs_of_manifest(manifest: Manifest) -> Views:
    """Cut windows from the radiographs of a manifest."""
    rows = plain_rows(manifest.frame[manifest.frame["modality"] != "CT"])
    stacks = ((load_stack(manifest, row)[0], row["patient_key"]) for row in rows)
    return _radiograph_windows(stacks, each=_LEAST_EACH)


def _radiograph_windows(named: Iterable[tuple[NDArray[np.generic], str]], each: int) -> Views:
    rng = np.random.default_rng(2)
    pixels, groups = [], []
    for stored, name in named:
        low, high = np.percentile(stored.astype(np.float32), [0.5, 99.5])
        room = np.array(stored.shape) - RADIOGRAPH_PX
        if high <= low or (room < 0).any():
            continue
        for y, x in rng.integers(0, room + 1, (each, 2)):
            window = stored[y : y + RADIOGRAPH_PX, x : x + RADIOGRAPH_PX].astype(np.float32)
            ends = np.percentile(window, [0.5, 99.5])
            if ends[1] - ends[0] > _LEAST_RANGE * (high - low):
                pixels.append(_grey(window, *ends))
                groups.append(f"{name} {y // (2 * RADIOGRAPH_PX)} {x // (2 * RADIOGRAPH_PX)}")
    return _views(pixels, [np.zeros(1)] * len(pixels), groups, RADIOGRAPH_PX)


def _grey(values: NDArray[np.generic], low: float, high: float) -> Field:
    """Return values from low..high in 0..1, in 256 steps."""
    share = (np.asarray(values, np.float32) - low) / max(high - low, 1e-6)
    return np.asarray(np.rint(np.clip(share, 0, 1) * 255) / 255, np.float32)


def _views(
    pixels: list[Field], contents: list[NDArray[np.float64]], groups: list[str], side: int
) -> Views:
    shape = (len(pixels), side, side)
    content = np.stack(contents) if contents else np.zeros((0, 1))
    return Views(np.array(pixels, np.float32).reshape(shape), content, np.array(groups, str))
