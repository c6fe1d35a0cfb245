"""Stored pixels of one frame, from where they lie in a file."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from calcilens.errors import PixelError, compose
from calcilens.imaging.codestream import check_stream

NOT_SEEKABLE = -1
"""Offset of pixels inside a deflated data set: the file must be inflated first."""

_MS_PER_MEGAPIXEL = {
    uid.RLELossless: 4.0,
    uid.JPEGLSLossless: 25.0,
    uid.JPEGLSNearLossless: 25.0,
    uid.JPEG2000: 110.0,
    uid.JPEG2000Lossless: 110.0,
}
"""Measured on one core on 12-bit CT; other compressed syntaxes: 50, uncompressed: 2."""

_OTHERS_ABOVE = 0.01
"""Share of pixels with another value above the stored bits than the two most common ones."""


_LEAST_EDGES, _SMOOTH = 10, 0.75
"""Pairs of pixels to tell by, and share of them: overlays, which jump there, have next to none."""


@dataclass(frozen=True)
class PixelSource:
    """Where one frame's pixels lie and how they are stored.

    Args:
        offset: Byte at which the value of Pixel Data starts, or NOT_SEEKABLE.
        length: Bytes of that value as the file says, or 0xFFFFFFFF where it does not.
        frame: Frame to read, from 0.
    """

    path: str
    offset: int
    length: int
    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    frames: int = 1
    frame: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds the stored values, in this machine's byte order."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def compressed(self) -> bool:
        """Whether pixels went through a codec."""
        return uid.UID(self.syntax).is_encapsulated

    @property
    def seconds(self) -> float:
        """Rough time that decoding takes on one core."""
        fallback = 50.0 if self.compressed else 2.0
        ms = _MS_PER_MEGAPIXEL.get(uid.UID(self.syntax), fallback)
        return ms * self.rows * self.columns / 1e9

    @property
    def held(self) -> int:
        """Frames that the file can hold by its size, whatever its tags say; at most `frames`."""
        if self.offset == NOT_SEEKABLE:
            return self.frames
        room = max(0, Path(self.path).stat().st_size - self.offset)
        least = 8 if self.compressed else self.rows * self.columns * self.bits_allocated // 8
        return min(self.frames, room // max(1, least))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, to be sent to a worker process."""
        return asdict(self)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings from the user: what matters becomes a note or a reason.

    Only this block is affected; pydicom's own configuration stays as it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(source: PixelSource) -> NDArray[Any]:
    """Read and decode one frame.

    Returns:
        (rows, columns) stored values, signed or unsigned as the object says.

    Raises:
        PixelError: The pixels cannot be read, with the reason.
    """
    try:
        with quiet(), _value(source) as stream:
            pixels = (_decompress if source.compressed else _read_native)(source, stream)
    except PixelError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except MemoryError as error:
        size = f"{source.rows} x {source.columns} pixels"
        raise PixelError(compose(f"memory for {size}", "not enough")) from error
    except OSError as error:
        raise PixelError(f"the file cannot be read: {error.strerror or error}") from error
    except BaseException as error:  # the RLE plug-in panics with a BaseException
        raise PixelError(f"the pixels cannot be decoded: {_one_line(error)}") from error
    if pixels.shape != (source.rows, source.columns):
        raise PixelError(compose(f"{source.rows} x {source.columns} pixels", f"{pixels.shape}"))
    return pixels


@contextmanager
def _value(source: PixelSource) -> Iterator[BinaryIO]:
    """Open the file at the first byte of the value of Pixel Data."""
    if source.offset == NOT_SEEKABLE:
        yield io.BytesIO(dcmread(source.path).PixelData)
        return
    with Path(source.path).open("rb") as stream:
        stream.seek(source.offset)
        yield stream


def _read_native(source: PixelSource, stream: BinaryIO) -> NDArray[Any]:
    """Read uncompressed pixels; bits outside the stored ones (old overlays) are dropped."""
    count = source.rows * source.columns
    size = count * source.bits_allocated // 8
    stream.seek(source.frame * size, os.SEEK_CUR)
    data = stream.read(size)  # no more than there is, whatever the tags say
    if len(data) < size:
        raise PixelError(compose(f"{size} bytes of pixels", f"{len(data)}: the file is cut short"))
    order: Literal["<", ">"] = "<" if uid.UID(source.syntax).is_little_endian else ">"
    stored = np.frombuffer(data, source.dtype.newbyteorder(order)).astype(source.dtype, copy=False)
    left = source.bits_allocated - 1 - source.high_bit
    right = source.bits_allocated - source.bits_stored
    stored = stored.reshape(source.rows, source.columns)
    if not left and not right:
        return stored
    cut = (stored << left) >> right
    if left:
        _check_bits(stored, cut, source)
    return np.asarray(cut)


def _check_bits(stored: NDArray[Any], cut: NDArray[Any], source: PixelSource) -> None:
    """Refuse pixels (Y, X) of which BitsStored would cut off a part.

    Above the stored bits may lie a sign, or a plane of an old overlay: two values. Where there are
    more, a number runs on there; so it does where pixels beside each other are alike with what lies
    above, and far apart without it.
    """
    whole = stored >> (source.high_bit + 1 - source.bits_stored)
    other = whole != cut
    if not other.any():
        return
    above = stored.view(f"u{stored.itemsize}").ravel() >> (source.high_bit + 1)
    counts = np.sort(np.bincount(above))
    if counts[:-2].sum() > _OTHERS_ABOVE * above.size or _runs_on(whole, cut, other):
        expected = f"stored values of {source.bits_stored} bits, as BitsStored says"
        fix = "export the images again from the scanner or archive"
        raise PixelError(compose(expected, "larger ones", fix=fix))


def _runs_on(whole: NDArray[Any], cut: NDArray[Any], other: NDArray[np.bool_]) -> bool:
    """Say whether values (Y, X) are smooth as they are, and not without their upper bits.

    Args:
        whole: Values with all bits.
        cut: Without the upper ones.
        other: Where both differ.
    """
    closer = []
    for axis in (0, 1):
        edge = np.diff(other, axis=axis)
        steps = [abs(np.diff(v.astype(np.int32), axis=axis)[edge]) for v in (whole, cut)]
        closer.append(steps[0] < steps[1])
    found = np.concatenate(closer)
    return bool(len(found) >= _LEAST_EDGES and found.mean() > _SMOOTH)


def _decompress(source: PixelSource, stream: BinaryIO) -> NDArray[Any]:
    """Decode a compressed frame, after a look at its stream."""
    frame = get_frame(stream, source.frame, number_of_frames=source.frames)
    check_stream(frame, source.syntax, source.rows, source.columns)
    # CharLS notices damage that libjpeg passes over, and is faster.
    plugin = "pyjpegls" if source.syntax in uid.JPEGLSTransferSyntaxes else ""
    described: dict[str, Any] = {
        "rows": source.rows,
        "columns": source.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": source.photometric,
        "bits_allocated": source.bits_allocated,
        "bits_stored": source.bits_stored,
        "pixel_representation": int(source.signed),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    with _muted(source.syntax == uid.RLELossless):
        pixels, _ = get_decoder(source.syntax).as_array(
            encapsulate([frame]), index=0, decoding_plugin=plugin, **described
        )
    return pixels.astype(source.dtype, copy=False)


@contextmanager
def _muted(needed: bool) -> Iterator[None]:
    """Send standard error to nowhere: the RLE plug-in prints a trace when it panics."""
    if not needed:
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _one_line(error: BaseException) -> str:
    """Return the most telling part of a decoder's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reported = [line for line in lines if ": " in line and not line.endswith("plugins:")]
    text = (reported or lines or [type(error).__name__])[0]
    return text.split(" - ")[0][:160]
