"""`calcilens phantoms study`: whole DICOM studies of a simulated person, with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calcilens.commands.console import say
from calcilens.commands.phantom_sets import Modality

if TYPE_CHECKING:
    from calcilens.phantoms.study import Plan
    from calcilens.phantoms.write import Series


def study(
    out: Path = typer.Option(..., "--out", "-o", help="Folder to make: missing or empty."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same files."),
    modality: Modality = typer.Option(Modality.CT, help="A CT, or radiographs from two sides."),
    site: str | None = typer.Option(None, help="Part of the body: calf, knee, hip, thorax, ..."),
    pattern: list[str] = typer.Option([], help="Pattern of a lesion; repeat it for more lesions."),
    follow_up: float | None = typer.Option(
        None, help="Add a later study in which each lesion has this many times its volume."
    ),
) -> None:
    """Write a simulated study with lesions, and all that is true of them.

    OUT/dicom holds the study, OUT/truth.json what was simulated, OUT/masks and OUT/seg the
    mineral as NIfTI and DICOM SEG, OUT/roi.json the boxes for `calcilens predict --roi`;
    OUT/follow-up the same of a later study, and how both lie to each other.
    """
    from calcilens.phantoms.study import Plan

    plan = Plan(seed, modality.value, site, tuple(pattern), follow_up)
    write_whole(out, plan)
    place, patterns = plan.chosen
    say(f"simulated {place} with {', '.join(patterns)} in {out}, its truth in {out / 'truth.json'}")


def write_whole(out: Path, plan: Plan) -> None:
    """Write a study with its SEG objects, whole or not at all."""
    from calcilens.phantoms.write import made_whole, write_study

    with made_whole(out) as folder:
        for series in write_study(folder, plan):
            _write_seg(series)


def _write_seg(series: Series) -> None:
    import pydicom

    from calcilens.inference.export.seg import SegIdentity, Segment, build_seg
    from calcilens.vocabulary import PRIVATE_SCHEME, Code

    visit = series.visit
    sources = [pydicom.dcmread(path) for path in series.files]
    patterns = [lesion["patterns"] for lesion in visit.lesions]
    segments = [
        Segment(name, f"Simulated: {', '.join(keys)}", visit.plan.uid("lesion", name), mask)
        for (name, mask), keys in zip(series.masks.items(), patterns, strict=True)
    ]
    identity = SegIdentity(
        series_uid=visit.uid("seg", series.name, "series"),
        sop_uid=visit.uid("seg", series.name),
        dimension_uid=visit.uid("seg", series.name, "dimensions"),
        date=visit.date,
        time=str(sources[0].ContentTime),
        algorithm="Phantom",
        family=Code("SIMULATION", PRIVATE_SCHEME, "Simulation"),
        description="True extent of simulated mineral",
    )
    folder = series.folder / "seg"
    folder.mkdir(exist_ok=True)
    seg = build_seg(sources, segments, identity)
    seg.save_as(folder / f"{series.name}.dcm", enforce_file_format=True)
