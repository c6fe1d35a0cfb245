"""Simulated manifests and predictions for the tests of evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calcilens.data_manifests.schema import Manifest, new_manifest

PATTERNS = ("diffuse", "central", "popcorn")


def labelled(root: Path, patients: int = 60, seed: int = 0) -> Manifest:
    """Make a manifest of readers' votes, two lesions a patient; no image is there."""
    rng = np.random.default_rng(seed)
    return new_manifest([_row(rng, i) for i in range(2 * patients)], root)


def _row(rng: np.random.Generator, index: int) -> dict[str, Any]:
    patient, readers = index // 2, int(rng.integers(1, 5))
    calcified, suspicious = rng.random() < 0.5, rng.random() < 0.5
    found = PATTERNS[index % 3] if calcified else "absent"
    return {
        "row_id": f"lesion-{index}",
        "image": f"{index}.png",
        "image_kind": "png",
        "modality": "CT",
        **dict.fromkeys(("z0", "y0", "x0"), 0),
        **dict.fromkeys(("z1", "y1", "x1"), 1),
        "patient_key": f"{patient:016x}",
        "source": "simulated",
        "split": ("train", "val", "test")[patient % 3],
        "readers": readers,
        "finding_votes": [int(calcified)] * readers,
        "pattern_votes": [found] * readers,
        "concern_votes": [int(rng.integers(4, 6) if suspicious else rng.integers(1, 3))] * readers,
        "contrast": (True, False, None)[patient % 3],
        "diameter_mm": float(rng.uniform(3, 30)),
        "sha256": "0" * 64,
    }


def guesses(manifest: Manifest, seed: int = 1) -> pd.DataFrame:
    """Make predictions that are better than chance, for every row."""
    rng = np.random.default_rng(seed)
    frame = manifest.frame
    calcified = np.array([votes[0] for votes in frame["finding_votes"]])
    suspicious = np.array([votes[0] > 3 for votes in frame["concern_votes"]])
    patterns = rng.dirichlet(np.ones(len(PATTERNS)), len(frame))
    return pd.DataFrame(
        {
            "row_id": frame["row_id"],
            "finding": 1 / (1 + np.exp(1 - 2 * calcified + rng.normal(0, 1, len(frame)))),
            "concern": 1 / (1 + np.exp(1 - 2 * suspicious + rng.normal(0, 1, len(frame)))),
            **{f"pattern_{key}": patterns[:, i] for i, key in enumerate(PATTERNS)},
            "abstained": np.arange(len(frame)) % 10 == 0,
        }
    )
