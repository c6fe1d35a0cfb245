"""SEG and Parametric Map lie on the lesion within half a voxel, however the scan was turned.

The truth is worked out from the source's own tags, not from our geometry; the objects are read with
pydicom and plain linear algebra, with highdicom, and with dcmqi and SimpleITK.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Volume
from calcilens.inference.export import lesion_seg, saliency
from calcilens.inference.export.objects import Shown
from tests import dicom_factory as factory
from tests.inference.shown import DENSE, SHAPE, dcmqi, lesions_in, made, read, reread, shown, stored

Points = NDArray[np.float64]
SPACING, STEP, ORIGIN = (0.5, 0.75), 2.0, np.array([-10.0, -20.0, 30.0])
HALF_VOXEL_MM = min(SPACING) / 2


def turned(axis: list[float], degrees: float) -> Points:
    """Rotation about an axis (Rodrigues)."""
    u = np.asarray(axis) / np.linalg.norm(axis)
    k = np.array([[0, -u[2], u[1]], [u[2], 0, -u[0]], [-u[1], u[0], 0]])
    a = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k)


def axes() -> Iterator[tuple[str, Points, Points]]:
    """Name, (row, column) directions and step of the 48 orientations along the axes."""
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            row, column, step = (s * np.eye(3)[a] for a, s in zip(order, signs, strict=True))
            name = "".join("+-"[s < 0] + "xyz"[a] for a, s in zip(order, signs, strict=True))
            yield name, np.stack([row, column]), STEP * step


def special() -> Iterator[tuple[str, Points, Points]]:
    """Oblique, tilted and mirrored ones."""
    for degrees in (7.0, 33.0, 121.0):
        turn = turned([1, 2, -1], degrees)
        yield f"oblique {degrees:g}", turn[:2], STEP * turn[2]
    straight = np.eye(3)
    for degrees in (-18.0, 12.5):
        lean = np.array([0, np.tan(np.radians(degrees)), 1.0])
        yield f"tilt {degrees:g}", straight[:2], STEP * lean
    turn = turned([0, 1, 0], 20)
    yield "negated column cosine", np.stack([straight[0], -straight[1]]), STEP * straight[2]
    yield "negated column cosine, oblique", np.stack([turn[0], -turn[1]]), STEP * turn[2]


AXES, SPECIAL = list(axes()), list(special())


def cases(found: list[tuple[str, Points, Points]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("plane", "step"), [pytest.param(plane, step, id=name) for name, plane, step in found]
    )


def scanned(folder: Path, plane: Points, step: Points) -> Shown:
    objects = factory.ct_slices(
        stored(), orientation=plane.ravel().tolist(), origin=ORIGIN, step=step, spacing=SPACING
    )
    return made(folder, objects)


def truth(plane: Points, step: Points) -> Points:
    """Where the lesion's voxels were written, mm (PS3.3 C.7.6.2.1.1)."""
    z, y, x = np.argwhere(stored() == DENSE).T
    in_plane = y[:, None] * plane[1] * SPACING[0] + x[:, None] * plane[0] * SPACING[1]
    return np.asarray(ORIGIN + z[:, None] * step + in_plane)


def places(built: Dataset, frames: NDArray[np.generic]) -> Points:
    """Return where the voxels of frames (F, Y, X) lie, (F, Y, X, 3) mm."""
    shared = built.SharedFunctionalGroupsSequence[0]
    orientation = np.array(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, float
    ).reshape(2, 3)
    dy, dx = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    corners = np.array(
        [
            f.PlanePositionSequence[0].ImagePositionPatient
            for f in built.PerFrameFunctionalGroupsSequence
        ],
        float,
    )
    y, x = np.arange(frames.shape[1]) * dy, np.arange(frames.shape[2]) * dx
    along = y[:, None, None] * orientation[1] + x[:, None] * orientation[0]
    return np.asarray(corners[:, None, None] + along)


def farthest(found: Points, stated: Points) -> float:
    """Return the largest distance of points to the nearest other one, both ways, mm."""
    apart = np.linalg.norm(found[:, None] - stated, axis=-1)
    return float(max(apart.min(0).max(), apart.min(1).max()))


@cases([*AXES, *SPECIAL])
def test_seg_and_map_lie_on_the_lesion(plane: Points, step: Points, tmp_path: Path) -> None:
    image = scanned(tmp_path, plane, step)
    check_seg(reread(lesion_seg.build(image)[0]), truth(plane, step))
    check_map(image, plane, step)


def check_seg(seg: Dataset, stated: Points) -> None:
    frames = seg.pixel_array
    found = places(seg, frames)[frames > 0]
    assert len(found) == len(stated)
    assert farthest(found, stated) < HALF_VOXEL_MM


def check_map(image: Shown, plane: Points, step: Points) -> None:
    """Every pixel has the value that the map has at its place on the source's plane."""
    built = reread(saliency.build(image)[0])
    frames = np.frombuffer(built.FloatPixelData, "<f4").reshape(-1, built.Rows, built.Columns)
    seen = image.lesions[0].saliency
    assert seen is not None
    whole = seen.in_plane((SHAPE[1], SHAPE[2]))
    assert frames.max() == whole.max()
    inverse = np.linalg.inv(np.stack([step, plane[1] * SPACING[0], plane[0] * SPACING[1]], 1))
    index = (places(built, frames) - ORIGIN) @ inverse.T
    nearest: NDArray[np.int64] = np.rint(index).astype(np.int64)
    assert np.abs(index - nearest).max() < 0.01
    np.testing.assert_array_equal(frames, whole[nearest[..., 1], nearest[..., 2]])
    there = np.unique(np.argwhere(stored() == DENSE)[:, 0])
    np.testing.assert_array_equal(np.unique(nearest[..., 0]), there)


@cases(AXES[::5] + SPECIAL[:3])
def test_highdicom_reads_the_same_voxels(plane: Points, step: Points, tmp_path: Path) -> None:
    image = scanned(tmp_path, plane, step)
    seg = highdicom.seg.Segmentation.from_dataset(reread(lesion_seg.build(image)[0]))
    volume = seg.get_volume(combine_segments=True)
    found = volume.map_indices_to_reference(np.argwhere(volume.array > 0))
    assert farthest(found, truth(plane, step)) < HALF_VOXEL_MM


@cases(AXES[::11])
def test_planes_in_left_handed_order_stay_where_they_are(
    plane: Points, step: Points, tmp_path: Path
) -> None:
    """The reader sorts planes along their normal; a volume made elsewhere may run against it."""
    study = read(
        factory.ct_slices(
            stored(), orientation=plane.ravel().tolist(), origin=ORIGIN, step=step, spacing=SPACING
        ),
        tmp_path,
    )
    volume = study.images[0]
    assert isinstance(volume, Volume)
    matrix = volume.affine.matrix.copy()
    matrix[:3, 3] = volume.affine.to_mm((len(volume.hu) - 1, 0, 0))
    matrix[:3, 0] *= -1
    turned_over = replace(
        volume, hu=volume.hu[::-1].copy(), affine=Affine(matrix), planes=volume.planes[::-1]
    )
    sources = {p.sop_uid: s for s in study.sources.values() for p in volume.planes}
    again = replace(study, images=(turned_over,), sources=sources)
    image = shown(again, lesions_in(turned_over))
    check_seg(reread(lesion_seg.build(image)[0]), truth(plane, step))
    check_map(image, plane, step)


@pytest.mark.slow
@pytest.mark.skipif(dcmqi("segimage2itkimage") is None, reason="needs dcmqi")
@cases([*AXES[::3], *SPECIAL[:3], *SPECIAL[5:]])
def test_dcmqi_and_simpleitk_read_the_same_voxels(
    plane: Points, step: Points, tmp_path: Path
) -> None:
    """Not of a tilted gantry: ITK images cannot be sheared."""
    image = scanned(tmp_path / "ct", plane, step)
    seg = converted("segimage2itkimage", lesion_seg.build(image)[0], tmp_path / "seg")
    values = SimpleITK.GetArrayFromImage(seg)
    assert farthest(points(seg, values > 0), truth(plane, step)) < HALF_VOXEL_MM

    built = saliency.build(image)[0]
    found = converted("paramap2itkimage", built, tmp_path / "map")
    stated = np.frombuffer(built.FloatPixelData, "<f4").reshape(-1, built.Rows, built.Columns)
    values = SimpleITK.GetArrayFromImage(found)
    top = places(built, stated)[stated == stated.max()]
    assert np.sort(values.ravel()).tolist() == np.sort(stated.ravel()).tolist()
    assert farthest(points(found, values == values.max()), top) < HALF_VOXEL_MM


def converted(program: str, built: Dataset, folder: Path) -> SimpleITK.Image:
    """Let dcmqi turn an object into an image with a place, and SimpleITK read that."""
    out = folder / "out"
    out.mkdir(parents=True)
    path = factory.save(built, folder / "object.dcm")
    command = [dcmqi(program) or program, "--inputDICOM", path, "--outputDirectory", out]
    subprocess.run([*map(str, command), "-t", "nii"], check=True, capture_output=True)
    (image,) = out.glob("*.nii.gz")
    return SimpleITK.ReadImage(str(image))


def points(image: SimpleITK.Image, where: NDArray[np.bool_]) -> Points:
    """Return where voxels lie, mm; ITK counts them x, y, z."""
    indices = np.argwhere(where)[:, ::-1]
    return np.array([image.TransformIndexToPhysicalPoint([int(v) for v in i]) for i in indices])
