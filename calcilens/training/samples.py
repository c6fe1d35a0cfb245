"""Rows of a manifest as samples: cut once and kept small, scaled every time they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray

from calcilens.data_manifests.pixels import holds_hu, load_mask, load_stack
from calcilens.data_manifests.schema import Manifest, box_of
from calcilens.errors import ManifestError, UsageError, compose
from calcilens.imaging.patches import PatchLocation, PatchSpec, cut_stored, extract

Sample = dict[str, Any]


class CutLesion(Transform):  # type: ignore[misc] # monai is untyped
    """Cut the patch of a manifest row, in the type it is stored in: a quarter of what it is scaled.

    MONAI caches what comes out of its own transforms only, so this is one.
    """

    def __init__(self, manifest: Manifest, spec: PatchSpec) -> None:
        self.manifest, self.spec = manifest, spec

    def __call__(self, row: Mapping[str, Any]) -> Sample:
        """Return a patch as stored.

        Returns:
            pixels (P, S, S); box (4,) and extent_mm (3,) float32; mask (1, S, S) bool of the key
            plane, None where the row has none; calibrated: whether pixels are HU.

        Raises:
            ManifestError: The box or the mask does not fit the image.
        """
        spacing = [row[f"spacing_{axis}_mm"] for axis in "zyx"]
        spacing = [np.nan if s is None else s for s in spacing]
        stack = load_stack(self.manifest, row)
        try:
            patch = cut_stored(stack, box_of(row), spacing, self.spec, key_plane=row["key_plane"])
        except UsageError as error:
            raise ManifestError(f"row {row['row_id']}: {error}") from error
        return {
            "pixels": patch.pixels,
            "box": patch.box,
            "extent_mm": patch.extent_mm,
            "mask": self._mask(row, stack.shape, patch.location),
            "calibrated": holds_hu(row),
        }

    def _mask(
        self, row: Mapping[str, Any], shape: tuple[int, ...], location: PatchLocation
    ) -> NDArray[np.generic] | None:
        mask = load_mask(self.manifest, row)
        if mask is None:
            return None
        if mask.shape != shape:
            where = f"row {row['row_id']}, column mask"
            expected = f"the shape of the image, {shape}"
            raise ManifestError(compose(expected, f"{mask.shape}", where=where))
        key = location.planes[len(location.planes) // 2]
        return extract(mask, replace(location, planes=(key,)))


class ScaleLesion(Transform):  # type: ignore[misc] # monai is untyped
    """Turn a patch as stored into what a network takes."""

    def __init__(self, spec: PatchSpec) -> None:
        self.spec = spec

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Return pixels (channels, S, S), box, extent_mm and mask (1, S, S), all float32.

        The mask is 1 where there is mineral, and NaN where that is not known.
        """
        pixels, mask = data["pixels"], data["mask"]
        if mask is None:
            mask = np.full((1, *pixels.shape[1:]), np.nan)
        return {
            "pixels": self.spec.scale(pixels, data["calibrated"]),
            "box": data["box"],
            "extent_mm": data["extent_mm"],
            "mask": mask.astype(np.float32),
        }


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Return up to `most` places in 0..count - 1, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.intp))


class LoadLesion:
    """Make a sample of a manifest row; the same call serves training and evaluation."""

    def __init__(self, manifest: Manifest, spec: PatchSpec) -> None:
        self.cut, self.scale = CutLesion(manifest, spec), ScaleLesion(spec)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """Return pixels (channels, S, S), box (4,), extent_mm (3,) and mask (1, S, S)."""
        return self.scale(self.cut(row))
