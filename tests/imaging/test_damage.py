"""Whatever happened to a file, the rest of the study is read and nothing but a reason appears."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset

from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_all
from tests import dicom_factory as factory

SHAPE = (3, 8, 8)


def as_bytes(objects: list[Dataset], syntax: uid.UID) -> list[bytes]:
    for ds in objects:
        if syntax.is_encapsulated:
            ds.compress(syntax, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = syntax
    with tempfile.TemporaryDirectory() as folder:
        factory.save_all(objects, Path(folder))
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def victims() -> list[bytes]:
    """One file of every kind, in a series of its own."""
    other: dict[str, Any] = {"SeriesInstanceUID": f"{factory.ROOT}.8"}
    table = {"LUTDescriptor": [256, 0, 8], "LUTData": bytes(range(256))}
    made = []
    for syntax in (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.JPEGLSLossless,
                   uid.RLELossless):  # fmt: skip
        made += as_bytes(factory.ct_slices(factory.ramp((1, 8, 8)), **other), syntax)
        made += as_bytes([factory.enhanced_ct(factory.ramp(SHAPE), **other)], syntax)
        radiograph = factory.radiograph(
            factory.ramp((8, 8)), VOILUTSequence=[factory.item(**table)], **other
        )
        made += as_bytes([radiograph], syntax)
    return made


GOOD = as_bytes(factory.ct_slices(factory.ramp(SHAPE)), uid.ExplicitVRLittleEndian)
VICTIMS = victims()


@given(
    number=st.integers(0, len(VICTIMS) - 1),
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=20),
)
def test_a_damaged_file_leaves_the_other_series_whole(
    number: int, cut: float | None, flips: list[tuple[float, int]]
) -> None:
    whole = VICTIMS[number]
    damaged = bytearray(whole[: None if cut is None else int(cut * len(whole))])
    for place, mask in flips:
        if damaged:
            damaged[int(place * (len(damaged) - 1))] ^= mask
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate([*GOOD, bytes(damaged)]):
            (Path(folder) / f"{number}.dcm").write_bytes(content)
        studies, left_out = read_all(folder)
    images = {i.series_uid: i for study in studies for i in study.images}
    volume = images[factory.SERIES_UID]
    assert isinstance(volume, Volume)
    assert (volume.hu == factory.ramp(SHAPE).astype(int) - 1024).all()
    told = [*left_out, *(s for study in studies for s in study.skipped)]
    assert all("\n" not in s.reason and len(s.reason) < 300 for s in told)
    assert all("Secret" not in s.reason and "SECRET" not in s.reason for s in told)
