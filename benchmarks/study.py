"""Whole `predict` on a 300-plane JPEG 2000 CT with five lesions and on one DX, by stage.

Run: python benchmarks/study.py [--planes 300] [--rounds 3] [--keep FOLDER]

Both are simulated (a thigh; 512 x 512 pixels a plane) and made once: `--keep` names where, for the
next time. Every round runs the program as a user does, start to end in a process of its own, and
beside it what no program could do without: the "floor" decodes the same frames, on as many
processes as there are cores. Medians; memory is the program's own peak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import openjpeg
import pydicom
from pydicom import uid
from pydicom.encaps import generate_frames

from calcilens.imaging.pool import cores
from calcilens.phantoms.dicom_objects import ct_plane
from calcilens.phantoms.scan import Scan
from calcilens.phantoms.study import Plan, visits
from calcilens.phantoms.write import write_study

PATTERNS = ("popcorn", "peripheral_zonal", "phlebolith", "diffuse", "central")
SIDE, FIELD_MM, STEP_MM, SEED = 512, 260.0, 0.8, 7


def make_ct(folder: Path, planes: int) -> None:
    """Simulate a CT of a thigh with five lesions, and write it as JPEG 2000."""
    folder.mkdir(parents=True)
    (visit,) = visits(Plan(SEED, site="thigh", patterns=PATTERNS))
    if not isinstance(visit.taken, Scan):
        raise TypeError("expected a CT")
    settings = replace(
        visit.taken.settings, pixel_mm=FIELD_MM / SIDE, interval_mm=STEP_MM, thickness_mm=1.0
    )
    scan = replace(visit.taken, settings=settings, shape=(planes, SIDE, SIDE))
    image = scan.render(visit.tissue_rng())
    for plane in range(planes):
        dataset = ct_plane(visit, settings, image, plane)
        dataset.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
        dataset.save_as(folder / f"{plane:04d}.dcm", enforce_file_format=True)


def make_dx(folder: Path) -> None:
    """Simulate radiographs of a thigh and keep one view."""
    with tempfile.TemporaryDirectory() as temp:
        write_study(Path(temp), Plan(SEED, "radiograph", site="thigh"))
        folder.mkdir(parents=True)
        (folder / "ap.dcm").write_bytes((Path(temp) / "dicom" / "ap.dcm").read_bytes())


def predict(folder: Path, out: Path) -> dict[str, float]:
    """Run the program and return seconds by stage, with the whole and the peak of memory."""
    command = [sys.executable, "-m", "calcilens.cli", "predict", str(folder), "--out", str(out)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--force"], stdout=subprocess.DEVNULL)
    usage = _wait(process)
    whole = time.perf_counter() - start
    (run,) = out.glob("*/run.json")
    (report,) = out.glob("*/report.json")
    stages = json.loads(run.read_text())["seconds"]
    lesions = len(json.loads(report.read_text())["lesions"])
    return {**stages, "whole": whole, "peak, GB": usage.ru_maxrss / 1e6, "lesions": lesions}


def _wait(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        raise RuntimeError(f"predict failed with {process.returncode}")
    return usage


def decode(path: Path) -> None:
    """Decode one file and throw the pixels away."""
    dataset = pydicom.dcmread(path)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        openjpeg.decode(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    else:
        _ = dataset.pixel_array


def floor(folder: Path, pool: ProcessPoolExecutor) -> dict[str, float]:
    """Return the seconds that decoding alone takes on all cores."""
    files = sorted(folder.iterdir())
    start = time.perf_counter()
    list(pool.map(decode, files, chunksize=max(1, len(files) // 40)))
    return {"floor": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp, ProcessPoolExecutor(cores()) as pool:
        kept = wanted.keep or Path(temp)
        folders = {"CT": kept / f"ct-{wanted.planes}", "DX": kept / "dx"}
        if not folders["CT"].exists():
            make_ct(folders["CT"], wanted.planes)
        if not folders["DX"].exists():
            make_dx(folders["DX"])
        figures = {}
        for name, folder in folders.items():
            list(pool.map(decode, sorted(folder.iterdir())[:4]))  # workers and files are warm
            rounds = [
                predict(folder, Path(temp) / name) | floor(folder, pool)
                for _ in range(wanted.rounds)
            ]
            figures[name] = {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}
    _show(figures, wanted.json)


def _show(figures: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"cores": cores(), **figures}, indent=1))
        return
    for name, stages in figures.items():
        print(f"{name}, {cores()} cores, medians:")
        for stage, value in stages.items():
            print(f"  {stage:24} {value:7.2f}")
        rest = stages["whole"] - stages["reading all studies"]
        print(f"  {'all but reading / floor':24} {rest / stages['floor']:7.2f}")


if __name__ == "__main__":
    main()
