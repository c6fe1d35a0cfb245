"""Compressed pixels whose fragments have an odd length, which PS3.5 A.4 forbids.

Readers take them; DCMTK, and with it Orthanc, breaks off the association over such an object.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from calcilens.inference.network.objects import ObjectFile

_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
_PIXELS, _UNDEFINED = struct.pack("<HH", 0x7FE0, 0x0010), b"\xff" * 4


def has_odd_fragments(file: ObjectFile) -> bool:
    """Say whether a file breaks the rule; nothing of the pixels is read."""
    syntax = UID(file.syntax_uid)
    if not syntax.is_transfer_syntax or not syntax.is_compressed:
        return False
    return any(length % 2 for _, length in _fragments(file.path))


def padded(file: ObjectFile) -> Dataset:
    """Return an object with a zero byte after each fragment of odd length (PS3.5 A.4).

    The Basic Offset Table goes, as its offsets no longer hold; it may be empty.
    """
    ds = dcmread(file.path)
    with file.path.open("rb") as stream:
        parts = [_item(b"")]
        for start, length in list(_fragments(file.path))[1:]:
            stream.seek(start)
            parts.append(_item(stream.read(length)))
    ds.PixelData = b"".join(parts)
    ds["PixelData"].VR = "OB"  # also where it said OW, as objects with this fault do
    for table in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if table in ds:
            delattr(ds, table)
    return ds


def _item(content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return _ITEM + struct.pack("<L", len(content)) + content


def _fragments(path: Path) -> Iterator[tuple[int, int]]:
    """Yield where each fragment begins, and its length in bytes; the first is the offset table."""
    with path.open("rb") as stream:
        dcmread(stream, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        head = stream.read(12)  # tag, representation, length
        if not (head.startswith(_PIXELS) and head.endswith(_UNDEFINED)):
            return
        while stream.read(4) == _ITEM:
            (length,) = struct.unpack("<L", stream.read(4))
            yield stream.tell(), length
            stream.seek(length, 1)
