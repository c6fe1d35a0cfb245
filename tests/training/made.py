"""A manifest of small PNG stacks, and how to train on it briefly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calcilens.data_manifests.pixels import digest
from calcilens.data_manifests.schema import Manifest, new_manifest, write_manifest
from tests.data_manifests.made import row_of, save_png, tissue

SIZE = 48
FOLDS = 3
SMALL = {"planes": 3, "size": 32, "lesion_px": 32, "context_px": 32}
"""A network as small as the classifier allows."""
BRIEF = [
    "--model.imagenet=false",
    "--model.network={planes: 3, size: 32, lesion_px: 32, context_px: 32}",
    "--data.batch_size=4",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]
"""Options that make a run on the made manifest take a second or two an epoch."""


def stacks(root: Path, count: int = 24, planes: int = 3) -> Manifest:
    """Write `count` stacks (planes, 48, 48), every second one with a bright lesion, one a patient.

    Two of three rows are for training; folds go round. Finding, concern and pattern are known.
    """
    rows = [_row(root, number, planes) for number in range(count)]
    return new_manifest(rows, root)


def _row(root: Path, number: int, planes: int) -> dict[str, Any]:
    name, calcified = f"stack-{number:02d}", number % 2
    for plane in range(planes):
        pixels = tissue(1000 * plane + number, SIZE) // 2
        if calcified:
            pixels[18:29, 20:31] = 250
        save_png(pixels, root / name / f"{plane}.png")
    return {
        **row_of(name, root, number),
        **{"image_kind": "png_stack", "sha256": digest(root / name)},
        **{"z0": 0, "y0": 16, "x0": 18, "z1": planes, "y1": 31, "x1": 33},
        **{"spacing_z_mm": 1.0, "spacing_y_mm": 0.7, "spacing_x_mm": 0.7},
        **{"split": "val" if number % 6 > 3 else "train", "fold": number // 2 % FOLDS},
        **{"finding": calcified, "concern": 1 - calcified, "readers": 1},
        "pattern": ["diffuse"] if calcified else None,
    }


def saved(manifest: Manifest, path: Path) -> Path:
    write_manifest(manifest, path)
    return path


def brief(recipe: str, manifest: Path, out: Path, *extra: str) -> Sequence[str]:
    """Return the arguments of a brief run."""
    named = ["--config", recipe, "--data.manifest", str(manifest), "--out", str(out)]
    return [*named, *BRIEF, *extra]


def patch_batch(count: int = 4, planes: int = 3, size: int = 32, seed: int = 0) -> dict[str, Any]:
    """Return random inputs of a network, as arrays."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(4, 12, (count, 2))
    box = np.concatenate([low, low + rng.uniform(5, 15, (count, 2))], 1)
    return {
        "pixels": rng.random((count, planes, size, size), np.float32),
        "box": box.astype(np.float32),
        "extent_mm": rng.uniform(3, 12, (count, 3)).astype(np.float32),
    }
