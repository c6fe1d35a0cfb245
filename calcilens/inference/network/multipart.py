"""The bodies of DICOMweb messages: multipart/related with one DICOM file (RFC 2387, PS3.18 8.6)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from calcilens.errors import ArchiveError, Unreachable

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_LONGEST_HEADER = 1 << 16
_CHUNK = 1 << 20


def only_part(content_type: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of the one part of a message, without ever holding all of it.

    Args:
        content_type: Header of the message.
        chunks: Its body.

    Raises:
        ArchiveError: It is no such message.
        Unreachable: It breaks off, or holds more than one part.
    """
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/related") or match is None:
        raise ArchiveError(
            f"expected multipart/related with a boundary, found {content_type[:80]!r}"
        )
    stop = f"\r\n--{match[1]}".encode()
    stream = iter(chunks)
    held = _skip_header(stream, match[1].encode())
    for chunk in stream:
        held += chunk
        cut = len(held) - _LONGEST_END - len(stop)
        if cut > 0:
            yield bytes(held[:cut])
            del held[:cut]
    at = held.rfind(stop)
    if at < 0 or held[at + len(stop) :].rstrip() != b"--":
        raise Unreachable("the archive broke off in the middle of an object")
    yield bytes(held[:at])


_LONGEST_END = 64
"""Of what may follow the last boundary: two dashes and the end of the line."""


def _skip_header(stream: Iterator[bytes], boundary: bytes) -> bytearray:
    """Read up to the content of the first part, and return what was read of it."""
    held = bytearray()
    for chunk in stream:
        held += chunk
        start = held.find(b"--" + boundary)
        end = held.find(b"\r\n\r\n", max(start, 0))
        if start >= 0 and end >= 0:
            return held[end + 4 :]
        if len(held) > _LONGEST_HEADER:
            raise ArchiveError("expected the header of a DICOM file, found something else")
    raise Unreachable("the archive broke off before an object began")


class FileMessage:
    """A message with one file, of known length, read while it is sent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield self._tail
