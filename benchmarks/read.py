"""Reading CT series: Calcilens beside SimpleITK, MONAI and dicom2nifti, in turn; medians.

Run: CALCILENS_REAL_DATA=... python benchmarks/read.py [--planes 300] [--rounds 5]
after: pip install --group bench

MONAI's is `LoadImage` with its PydicomReader; dicom2nifti also writes what it read, uncompressed.

The series is the real one in CALCILENS_REAL_DATA, repeated to the wanted number of planes under
new UIDs and positions, uncompressed and as JPEG 2000. "floor" is decoding alone: the time that
pylibjpeg-openjpeg takes for the same frames on one core, divided by the cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openjpeg
import pydicom
import SimpleITK as sitk  # noqa: N813 - its usual name
from dicom2nifti.convert_dicom import dicom_series_to_nifti
from monai.transforms import LoadImage
from pydicom import uid
from pydicom.encaps import generate_frames

from calcilens.imaging.images import Volume
from calcilens.imaging.pool import cores
from calcilens.imaging.study import read_study


def make_series(source: Path, folder: Path, planes: int, syntax: str) -> Path:
    """Write `planes` objects that repeat the source's slices, 2.5 mm apart."""
    folder.mkdir()
    originals = [pydicom.dcmread(p) for p in sorted(source.glob("*.dcm"))]
    for ds in originals:
        if uid.UID(syntax).is_encapsulated:
            ds.compress(syntax, generate_instance_uid=False)
    for index in range(planes):
        ds = originals[index % len(originals)]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid.UID(f"1.2.3.{index + 1}")
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], 2.5 * index]
        ds.InstanceNumber = index + 1
        ds.save_as(folder / f"{index:04d}.dcm")
    return folder


def ours(folder: Path) -> np.ndarray:
    (volume,) = read_study(folder).images
    if not isinstance(volume, Volume):
        raise TypeError("expected a volume")
    return volume.hu


def simpleitk(folder: Path) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return np.asarray(sitk.GetArrayFromImage(reader.Execute()))


def monai(folder: Path) -> object:
    return LoadImage(reader="PydicomReader", image_only=True)(folder)


def dicom2nifti_writes(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temp:
        dicom_series_to_nifti(str(folder), f"{temp}/volume.nii", reorient_nifti=False)


def decoding_alone(folder: Path) -> None:
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        frame = next(generate_frames(ds.PixelData, number_of_frames=1))
        openjpeg.decode(frame)


READERS: dict[str, Callable[[Path], object]] = {
    "calcilens": ours,
    "SimpleITK": simpleitk,
    "MONAI": monai,
    "dicom2nifti": dicom2nifti_writes,
}


def seconds(work: Callable[[Path], object], folder: Path) -> float:
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    source = Path(os.environ["CALCILENS_REAL_DATA"]).resolve() / "dicom" / "ct-kits00072"
    with tempfile.TemporaryDirectory() as temp:
        for name, syntax in {
            "uncompressed": uid.ExplicitVRLittleEndian,
            "JPEG 2000": uid.JPEG2000Lossless,
        }.items():
            folder = make_series(source, Path(temp) / syntax, wanted.planes, syntax)
            same = np.array_equal(ours(folder), simpleitk(folder))
            times: dict[str, list[float]] = {}
            for _ in range(wanted.rounds):
                for label, work in READERS.items():
                    times.setdefault(label, []).append(seconds(work, folder))
                if syntax == uid.JPEG2000Lossless:
                    floor = seconds(decoding_alone, folder) / cores()
                    times.setdefault("floor", []).append(floor)
            medians = {label: round(statistics.median(t), 3) for label, t in times.items()}
            print(f"{name}, {wanted.planes} planes, {cores()} cores, equal: {same}: {medians} s")


if __name__ == "__main__":
    main()
