"""`calcilens phantoms study`: whole DICOM studies of a simulated person, with exact truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calcilens.commands.console import Steps, progress_bar, say
from calcilens.commands.phantom_sets import Modality
from calcilens.vocabulary import PATTERN_KEYS

if TYPE_CHECKING:
    from calcilens.phantoms.study import Plan
    from calcilens.phantoms.write import Series

SITES = "calf, thigh, forearm, upper arm, knee, elbow, ankle, shoulder, hip, pelvis, thorax"
GROWTH = (0.2, 8.0)
"""For the help, which must not load what draws bodies; a test holds both to what is drawn."""


def study(
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FOLDER", help="Folder to make: missing or empty."
    ),
    seed: int = typer.Option(0, min=0, metavar="N", help="The same seed gives the same files."),
    modality: Modality = typer.Option(
        Modality.CT, case_sensitive=False, help="A CT, or radiographs from two sides."
    ),
    site: str | None = typer.Option(None, metavar="SITE", help=f"Part of the body: {SITES}."),
    pattern: list[str] = typer.Option(
        [],
        metavar="PATTERN",
        help=f"Pattern of a lesion; repeat it for more lesions: {', '.join(PATTERN_KEYS)}.",
    ),
    follow_up: float | None = typer.Option(
        None,
        metavar="FACTOR",
        help="Add a later study in which each lesion has this many times its volume, "
        f"{GROWTH[0]:g} to {GROWTH[1]:g}.",
    ),
) -> None:
    """Write a simulated study, and all that is true of it.

    OUT/dicom holds the study, OUT/truth.json what was simulated, OUT/masks and OUT/seg the
    mineral as NIfTI and DICOM SEG, OUT/roi.json the boxes for `calcilens predict --roi`;
    OUT/follow-up the same of a later study, and how both lie to each other.
    """
    from calcilens.phantoms.study import Plan

    plan = Plan(seed, modality.value, site, tuple(pattern), follow_up)
    write_whole(out, plan)
    place, patterns = plan.chosen
    say(f"simulated {place} with {', '.join(patterns)} in {out}, its truth in {out / 'truth.json'}")
    if follow_up is not None:
        _say_follow_up(out)


def _say_follow_up(out: Path) -> None:
    """Say where the later study is, and how much each lesion has changed in it."""
    from calcilens.phantoms.write import FOLLOW_UP

    folder = out / FOLLOW_UP
    change = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["change"]
    ratios = ", ".join(f"{ratio:.2f}" for ratio in change["volume_ratio"])
    say(f"follow-up after {change['days']} days in {folder}; volumes of the lesions times {ratios}")


def write_whole(out: Path, plan: Plan) -> None:
    """Write a study with its SEG objects, whole or not at all."""
    from calcilens.phantoms.write import STEPS, VISITS, made_whole, write_study

    stages = [f"{VISITS[number]}: {step}" for number in plan.visits() for step in STEPS]
    with made_whole(out) as folder, progress_bar() as bar:
        steps = Steps(bar, "simulate", 1, (*stages, "segmentations"))
        written = write_study(folder, plan, steps.stage)
        steps.stage("segmentations")
        for series in written:
            _write_seg(series)
        steps.finish()


def _write_seg(series: Series) -> None:
    import pydicom

    from calcilens.inference.export.frames import Stamp
    from calcilens.inference.export.seg import About, Segment, build_seg
    from calcilens.vocabulary import PRIVATE_SCHEME, Code

    visit = series.visit
    sources = [pydicom.dcmread(path) for path in series.files]
    patterns = [lesion["patterns"] for lesion in visit.lesions]
    segments = [
        Segment(
            label=name,
            description=f"Simulated: {', '.join(keys)}",
            tracking=(name, visit.plan.uid("lesion", name)),
            mask=mask,
        )
        for (name, mask), keys in zip(series.masks.items(), patterns, strict=True)
    ]
    about = About(
        algorithm="Phantom",
        family=Code("SIMULATION", PRIVATE_SCHEME, "Simulation"),
        description="True extent of simulated mineral",
    )
    stamp = Stamp(
        series_uid=visit.uid("seg", series.name, "series"),
        sop_uid=visit.uid("seg", series.name),
        dimension_uid=visit.uid("seg", series.name, "dimensions"),
        date=visit.date,
        time=str(sources[0].ContentTime),
    )
    folder = series.folder / "seg"
    folder.mkdir(exist_ok=True)
    seg = build_seg(sources, segments, about, stamp)
    seg.save_as(folder / f"{series.name}.dcm", enforce_file_format=True)
