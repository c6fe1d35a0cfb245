"""Making phantom patches: seconds of processor time a patch, and where they go.

Run: OMP_NUM_THREADS=1 python benchmarks/phantoms.py [--modality ct radiograph] [--patches 60]

Every patch is drawn and imaged as `calcilens phantoms patches` does, on one core and without
writing it. Processor time, not the clock's, so that other work on the machine counts less. The
stages are those that the table below names, measured by the profiler in a run of their own, so
that they are shares, not seconds.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from calcilens.phantoms.ct_patches import visible_ct
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.radiograph_patches import visible_radiograph

MAKE: dict[str, Callable[[Job, int], object]] = {
    "ct": visible_ct,
    "radiograph": visible_radiograph,
}
STAGES = {  # module and function, of which the profiler gives the time with all they call
    "ct": {
        "draw the scene": ("drafts", "draw_scene"),
        "body": ("ct", "_body"),
        "lesion": ("ct", "lay_lesion"),
        "beam hardening": ("artefacts", "hardening"),
    },
    "radiograph": {
        "draw the scene": ("drafts", "draw_scene"),
        "rays through the body": ("projection", "masses"),
        "lesion": ("shadows", "shadow"),
        "textures": ("textures", "add_textures"),
        "beam": ("exposure", "transmitted"),
        "noise and blur": ("exposure", "detected"),
        "processing": ("processing", "processed"),
    },
}


def seconds(modality: str, patches: int) -> list[float]:
    """Return the processor time of each patch."""
    job = Job(modality, 0, "usual", Path())
    MAKE[modality](job, patches)  # tables and caches
    taken = []
    for number in range(patches):
        begun = time.process_time()
        MAKE[modality](job, number)
        taken.append(time.process_time() - begun)
    return taken


def shares(modality: str, patches: int) -> dict[str, float]:
    """Return each stage's share of the time."""
    job = Job(modality, 0, "usual", Path())
    profile = cProfile.Profile()
    profile.enable()
    for number in range(patches):
        MAKE[modality](job, number)
    profile.disable()
    taken = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = max(row[3] for row in taken.values())

    def of(module: str, function: str) -> float:
        rows = (row[3] for (file, _, name), row in taken.items()
                if name == function and Path(file).stem == module)  # fmt: skip
        return sum(rows) / total

    return {stage: of(*place) for stage, place in STAGES[modality].items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modality", nargs="+", choices=list(MAKE), default=list(MAKE))
    parser.add_argument("--patches", type=int, default=60)
    given = parser.parse_args()
    for modality in given.modality:
        taken = seconds(modality, given.patches)
        mean, median = statistics.fmean(taken), statistics.median(taken)
        print(f"{modality}: {median:.3f} s a patch (median), {mean:.3f} s (mean), "
              f"{1 / mean:.1f} a second on one core")  # fmt: skip
        for stage, share in shares(modality, given.patches // 2).items():
            print(f"    {stage:<24}{share:6.0%}")


if __name__ == "__main__":
    main()
