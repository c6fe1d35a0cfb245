"""Checks on a compressed frame before it is decoded.

Decoders fill up what is missing from a cut JPEG stream and give no sign of it, and believe
the stream's own size rather than the object's. Both are found here from the markers.
"""

from __future__ import annotations

from pydicom import uid

from calcilens.errors import PixelError, compose

_JPEG = {
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # ITU-T T.81, T.87
_END_OF_IMAGE = b"\xff\xd9"


def check_stream(stream: bytes, syntax: str, rows: int, columns: int) -> None:
    """Refuse a stream that is cut short or of another size than the object says.

    Args:
        stream: One compressed frame.
        syntax: Transfer syntax UID.
        rows: Height that the object gives, pixels.
        columns: Width that the object gives, pixels.

    Raises:
        PixelError: The stream cannot hold the whole image.
    """
    if not stream:
        raise PixelError(compose("a compressed frame", "no bytes"))
    if syntax in _JPEG:
        if _END_OF_IMAGE not in stream.rstrip(b"\0")[-64:]:
            raise PixelError(compose("a whole JPEG stream", "one that is cut short"))
        size = _jpeg_size(stream)
    elif syntax in uid.JPEG2000TransferSyntaxes:
        size = _jpeg2000_size(stream)
    else:
        return
    if size is not None and size != (rows, columns):
        raise PixelError(
            compose(f"{rows} x {columns} pixels", f"a stream of {size[0]} x {size[1]}")
        )


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) from the start-of-frame segment."""
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _START_OF_FRAME:
            rows = int.from_bytes(stream[at + 5 : at + 7], "big")
            return rows, int.from_bytes(stream[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def _jpeg2000_size(stream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) from the SIZ segment: extent less offset (ITU-T T.800, A.5.1)."""
    at = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0 or len(stream) < at + 24:
        return None
    x1, y1, x0, y0 = (
        int.from_bytes(stream[at + 8 + 4 * i : at + 12 + 4 * i], "big") for i in range(4)
    )
    return y1 - y0, x1 - x0
