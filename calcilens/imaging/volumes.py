"""From an ordered stack to a volume in Hounsfield units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import PixelError, SeriesError, compose
from calcilens.imaging.decode import decode
from calcilens.imaging.headers import Header
from calcilens.imaging.images import Plane, Volume
from calcilens.imaging.planes import CtPlane
from calcilens.imaging.plausible import check_hu
from calcilens.imaging.pool import DecoderPool
from calcilens.imaging.records import Skipped, replaced
from calcilens.imaging.stacks import Stack, longest_run, regular_stack

AIR_HU = -1024
"""What padding becomes: the lowest value that CT of the body is stored with."""
_TISSUE_HU = (-1024, 3071)
"""Padding in this range (12 bits) cannot be told from tissue and is left as it is."""
_LOWEST_HU = -4096
_INT16 = np.iinfo(np.int16)

Raw = NDArray[Any]
Shared = TypeVar("Shared")


@dataclass(frozen=True, eq=False)
class _Decoded:
    raw: Raw
    stack: Stack
    skipped: tuple[Skipped, ...]


def build_volume(
    stack: Stack,
    pool: DecoderPool,
    *,
    study_uid: str,
    series_uid: str,
    done: Callable[[], None],
) -> tuple[Volume, tuple[Skipped, ...]]:
    """Decode a stack and turn it into HU.

    A plane whose pixels cannot be read leaves a gap: the longest run without it is used.

    Returns:
        The volume, and the planes that could not be read.

    Raises:
        SeriesError: No plane, or no even run of planes, can be read, or no CT of a body has such
            values.
    """
    decoded = _decode(stack, pool, series_uid, done)
    stack = decoded.stack
    hu = to_hu(decoded.raw, stack.planes)
    check_hu(hu)
    volume = Volume(
        hu=hu,
        affine=stack.affine,
        study_uid=study_uid,
        series_uid=series_uid,
        frame_of_reference_uid=stack.planes[0].frame_of_reference,
        planes=tuple(Plane(p.sop_uid, p.source.frame, p.number) for p in stack.planes),
        notes=stack.notes,
        kvp=_shared([p.kvp for p in stack.planes]),
        thickness_mm=_shared([p.thickness for p in stack.planes]),
        side=_shared([p.side for p in stack.planes]),
        body_part=_shared([p.body_part for p in stack.planes]),
    )
    return volume, decoded.skipped


def _shared(values: Sequence[Shared | None]) -> Shared | None:
    """Return the value that all planes have, or None."""
    return values[0] if len(set(values)) == 1 else None


def _decode(stack: Stack, pool: DecoderPool, series_uid: str, done: Callable[[], None]) -> _Decoded:
    sources = [plane.source for plane in stack.planes]
    shape = (len(sources), sources[0].rows, sources[0].columns)
    raw = np.empty(shape, np.result_type(*{source.dtype for source in sources}))
    bad: dict[int, str] = {}

    def place(index: int, pixels: Raw) -> None:
        if sources[index].compressed:
            _check_plausible(pixels, stack.planes[index])
        raw[index] = pixels

    bad = pool.decode(sources, place, done)
    skipped = _try_others(stack.planes, bad, place)
    if not bad:
        return _Decoded(raw, stack, skipped)
    if len(bad) == len(sources):
        _raise_all_bad(bad, len(sources))
    good = [i for i in range(len(sources)) if i not in bad]
    first, last = longest_run([stack.planes[i] for i in good])
    kept = good[first:last]
    note = f"{len(bad)} planes cannot be read: the longest even run of {len(kept)} is used"
    smaller = regular_stack([stack.planes[i] for i in kept], (*stack.notes, note))
    return _Decoded(raw[kept], smaller, skipped)


def _try_others(
    planes: Sequence[CtPlane], bad: dict[int, str], place: Callable[[int, Raw], None]
) -> tuple[Skipped, ...]:
    """Try files of the same SOPInstanceUID where the first could not be read."""
    skipped: list[Skipped] = []
    for index in sorted(bad):
        plane = planes[index]
        first, failed = Skipped(plane.name, bad[index]), list[Skipped]()
        for other in plane.others:
            try:
                place(index, _frame_of(other, plane.source.frame))
            except PixelError as error:
                failed.append(Skipped(other.name, str(error)))
            except ValueError:
                failed.append(Skipped(other.name, "pixels of another size than its series has"))
            else:
                first = replaced(first, plane.sop_uid)
                del bad[index]
                break
        skipped += [first, *failed]
    return tuple(skipped)


def _frame_of(header: Header, frame: int) -> Raw:
    if header.pixels is None:
        raise PixelError(compose("an image", "an object without pixels"))
    return decode(replace(header.pixels, frame=frame))


def _raise_all_bad(bad: dict[int, str], count: int) -> None:
    reasons = sorted(set(bad.values()))
    more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
    what = "its pixels" if count == 1 else f"the pixels of none of its {count} planes"
    raise SeriesError(f"{what} can be read: {reasons[0]}{more}" if count > 1 else reasons[0])


def _check_plausible(pixels: Raw, plane: CtPlane) -> None:
    """Refuse what a codec made of a faulty stream and no CT can hold.

    Encoders with a 16-bit overflow in JPEG lossless prediction leave streams that decode
    without an error to many different values far below air.
    """
    low = pixels[~_padded(pixels, plane.padding)] if plane.padding else pixels
    if low.size and low.min() * plane.slope + plane.intercept < _LOWEST_HU:
        impossible = np.unique(low[low * plane.slope + plane.intercept < _LOWEST_HU])
        if impossible.size > 16:
            raise PixelError(
                compose(
                    f"HU above {_LOWEST_HU}",
                    f"{impossible.size} different values below: the stream was encoded wrongly",
                )
            )


def to_hu(raw: Raw, planes: Sequence[CtPlane]) -> NDArray[np.int16] | NDArray[np.float32]:
    """Turn stored values (Z, Y, X) into HU: int16 where that is exact, else float32.

    `raw` is used up: where its own memory can hold the result, it does.
    """
    if all(float(v).is_integer() for p in planes for v in (p.slope, p.intercept)):
        low, high = _hu_range(raw, planes)
        if low >= _INT16.min and high <= _INT16.max:
            return _to_int16(raw, planes)
    out = np.empty(raw.shape, np.float32)
    for target, stored, plane in zip(out, raw, planes, strict=True):
        target[...] = stored * plane.slope + plane.intercept
        _set_air(target, stored, plane)
    return out


def _hu_range(raw: Raw, planes: Sequence[CtPlane]) -> tuple[float, float]:
    ends: list[float] = [AIR_HU]
    for stored, plane in zip(raw, planes, strict=True):
        values = stored[~_padded(stored, plane.padding)] if plane.padding else stored
        if values.size:
            lowest, highest = float(values.min()), float(values.max())
            ends += [v * plane.slope + plane.intercept for v in (lowest, highest)]
    return min(ends), max(ends)


def _to_int16(raw: Raw, planes: Sequence[CtPlane]) -> NDArray[np.int16]:
    """Rescale in place, modulo 2**16: exact, since every result fits into int16."""
    words = raw.view(np.uint16) if raw.itemsize == 2 else raw.astype(np.int16).view(np.uint16)
    for target, plane in zip(words, planes, strict=True):
        padded = _padded(target.view(raw.dtype), plane.padding) if plane.padding else None
        if plane.slope != 1:
            target *= np.uint16(int(plane.slope) % 65536)
        if plane.intercept != 0:
            target += np.uint16(int(plane.intercept) % 65536)
        if padded is not None and _is_surprise(plane):
            target.view(np.int16)[padded] = AIR_HU
    return words.view(np.int16)


def _set_air(target: NDArray[np.float32], stored: Raw, plane: CtPlane) -> None:
    if plane.padding and _is_surprise(plane):
        target[_padded(stored, plane.padding)] = AIR_HU


def _padded(stored: Raw, padding: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray((stored >= padding[0]) & (stored <= padding[1]))


def _is_surprise(plane: CtPlane) -> bool:
    """Tell whether padding lies outside what tissue can be."""
    if plane.padding is None:
        return False
    low, high = _TISSUE_HU
    ends = [v * plane.slope + plane.intercept for v in plane.padding]
    return min(ends) < low or max(ends) > high
