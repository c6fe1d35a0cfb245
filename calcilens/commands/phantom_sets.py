"""`calcilens phantoms patches`: simulated lesions for training, with their manifest."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calcilens.commands.console import print_json, progress_bar, say

if TYPE_CHECKING:
    import pandas as pd

MOST = 1_000_000
"""Lesions of a set: their names have six digits."""


class Modality(StrEnum):
    """What is simulated."""

    CT = "ct"
    RADIOGRAPH = "radiograph"


class Domain(StrEnum):
    """How it is acquired: the way models learn on, or another that they are judged on."""

    USUAL = "usual"
    UNSEEN = "unseen"


def patches(
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FOLDER", help="Folder; a stopped run goes on in it."
    ),
    n: int = typer.Option(1000, "--n", min=1, max=MOST, metavar="N", help="How many lesions."),
    modality: Modality = typer.Option(Modality.CT, case_sensitive=False, help="What to simulate."),
    seed: int = typer.Option(0, min=0, metavar="N", help="The same seed gives the same lesions."),
    domain: Domain = typer.Option(
        Domain.USUAL,
        case_sensitive=False,
        help="usual for training; unseen differs in kVp, kernel, thickness, processing and people.",
    ),
    backgrounds: Path | None = typer.Option(
        None,
        metavar="FOLDER",
        help="Folder of your own CT or radiographs (DICOM) to put the lesions into.",
    ),
    workers: int = typer.Option(
        os.cpu_count() or 1, min=1, max=256, metavar="N", help="Processes."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print a summary as JSON."),
) -> None:
    """Simulate a set of lesions, with exact truth, to train on.

    It holds lesions of all patterns, and what may be taken for one.
    OUT/images holds small CT stacks (NIfTI, HU) or radiographs (16-bit PNG), OUT/masks the
    mineral, OUT/truth.jsonl a line a lesion and OUT/manifest.parquet what `calcilens train` and
    `calcilens evaluate` read.
    """
    print_or_say(
        write_set(out, n, modality, seed, domain, workers, backgrounds=backgrounds), as_json
    )


def write_set(
    out: Path,
    n: int,
    modality: Modality,
    seed: int,
    domain: Domain,
    workers: int,
    *,
    backgrounds: Path | None = None,
    split: str | None = None,
) -> dict[str, object]:
    """Write patches and their manifest; return a summary.

    Rows that were there keep their split and fold; `split` is that of all others.
    """
    from calcilens.data_manifests.builders.phantoms import build_phantoms
    from calcilens.data_manifests.schema import read_manifest, write_manifest
    from calcilens.data_manifests.splits import with_parts_of
    from calcilens.phantoms.drafts import Job
    from calcilens.phantoms.patches import write_patches

    job = Job(modality.value, seed, domain.value, out, backgrounds)
    path = out / "manifest.parquet"
    before = read_manifest(path) if path.is_file() else None
    with progress_bar() as bar:
        task = bar.add_task(f"simulating {job.modality}", total=n)
        write_patches(
            job,
            n,
            workers=workers,
            advance=lambda done: bar.advance(task, done),
            stopping=lambda: say("stopping after the lesions in hand"),
        )
        manifest = build_phantoms(out)
        if backgrounds is not None:
            manifest.metadata["backgrounds"] = "real"
    if before is not None:
        manifest = with_parts_of(manifest, before)
    frame = manifest.frame
    if split is not None:
        frame["split"] = frame["split"].where(frame["split"].notna(), split)
    elif before is not None:
        _say_new(frame, before.frame)
    write_manifest(manifest, path)
    return {
        "manifest": str(path),
        "lesions": len(frame),
        "people": int(frame["patient_key"].nunique()),
        "calcified": int((frame["finding"] == 1).sum()),
        "concerning": int((frame["concern"] == 1).sum()),
    }


def _say_new(rows: pd.DataFrame, before: pd.DataFrame) -> None:
    """Say how many rows came to a set that was split."""
    new = int((~rows["row_id"].isin(before["row_id"])).sum())
    if new and before[["split", "fold"]].notna().any(axis=None):
        say(
            f"{new} of {len(rows)} rows are new, without split and fold: `calcilens manifest split`"
        )


def print_or_say(found: dict[str, object], as_json: bool) -> None:
    """Print a summary for a program or for a person."""
    if as_json:
        print_json(found)
        return
    say(
        f"{found['lesions']} lesions of {found['people']} simulated people, "
        f"{found['calcified']} calcified, {found['concerning']} concerning: {found['manifest']}"
    )
