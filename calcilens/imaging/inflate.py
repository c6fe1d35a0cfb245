"""Deflated objects, looked at before pydicom inflates them in memory as a whole."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from pydicom import uid

from calcilens.errors import InputError, compose

MAX_INFLATED_BYTES = 2**30
"""A file that inflates to more is refused: it would not fit in memory twice."""
_CHUNK = 2**20
_PREFIX = 132
_HEAD = 2048
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"


def check_inflated(stream: BinaryIO) -> None:
    """Refuse a deflated object that is damaged or far larger than it looks; the stream is rewound.

    Args:
        stream: A DICOM file from its first byte.

    Raises:
        InputError: It inflates to more than MAX_INFLATED_BYTES, or cannot be inflated.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    if uid.DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    at = head.find(_GROUP_LENGTH)
    if at not in (0, _PREFIX):
        raise InputError(compose("the length of the file meta header", "none"))
    start = at + len(_GROUP_LENGTH) + 4
    stream.seek(start + int.from_bytes(head[start - 4 : start], "little"))
    try:
        size = _inflated_size(stream)
    except zlib.error as error:
        raise InputError(compose("a deflated object", "damaged data")) from error
    if size > MAX_INFLATED_BYTES:
        found = f"more than {MAX_INFLATED_BYTES}"
        raise InputError(compose(f"an object of at most {MAX_INFLATED_BYTES} bytes", found))
    stream.seek(0)


def _inflated_size(stream: BinaryIO) -> int:
    """Count bytes as far as the limit, a piece at a time."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    while size <= MAX_INFLATED_BYTES and not inflater.eof:
        data = inflater.unconsumed_tail or stream.read(_CHUNK)
        if not data:
            break
        size += len(inflater.decompress(data, _CHUNK))
    return size
