"""One series: what it holds, what of it is read, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from calcilens.errors import InputError, PixelError, SeriesError, compose
from calcilens.imaging.decode import PixelSource, decode
from calcilens.imaging.headers import Header
from calcilens.imaging.images import Image, Volume
from calcilens.imaging.planes import ct_planes
from calcilens.imaging.pool import DecoderPool
from calcilens.imaging.radiographs import build_radiograph
from calcilens.imaging.records import SeriesInfo, Skipped, replaced
from calcilens.imaging.selection import why_left_out
from calcilens.imaging.sources import Source, read_source
from calcilens.imaging.stacks import Stack, build_stack
from calcilens.imaging.terms import number
from calcilens.imaging.volumes import build_volume


@dataclass(frozen=True, eq=False)
class SeriesPlan:
    """What is to be decoded of a series: a CT stack, radiographs, or nothing.

    Args:
        why_not: Why nothing is; None where something is.
    """

    headers: tuple[Header, ...]
    stack: Stack | None
    radiographs: tuple[Header, ...]
    skipped: tuple[Skipped, ...]
    why_not: str | None

    @property
    def modality(self) -> str:
        """Modality of the series."""
        return self.headers[0].modality

    @property
    def sources(self) -> list[PixelSource]:
        """Frames to decode."""
        if self.stack is not None:
            return [plane.source for plane in self.stack.planes]
        return [header.pixels for header in self.radiographs if header.pixels is not None]


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """The images of a series, its line in the list of series, and what was left out.

    Args:
        sources: Headers of the files that the images come from, by the UID of the first plane.
    """

    images: tuple[Image, ...]
    info: SeriesInfo
    skipped: tuple[Skipped, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)


def plan_series(headers: Sequence[Header]) -> SeriesPlan:
    """Decide what of a series is read, from its headers alone."""
    reasons = [(header, why_left_out(header)) for header in headers]
    good = [header for header, reason in reasons if reason is None]
    left = Counter(reason for _, reason in reasons if reason is not None)
    uid = headers[0].series_uid
    if not good:
        why = left.most_common(1)[0][0]
        return SeriesPlan(tuple(headers), None, (), (Skipped(uid, why),), why)
    skipped = [
        Skipped(uid, f"{count} of {len(headers)} objects left out: {reason}")
        for reason, count in left.items()
    ]
    if good[0].modality != "CT":
        films = tuple(sorted(good, key=_order))
        return SeriesPlan(tuple(headers), None, films, tuple(skipped), None)
    return _plan_ct(headers, good, skipped)


def _order(header: Header) -> tuple[bool, int, str]:
    """Order films by their numbers, as viewers do; those without one come last."""
    own = number(header.tags.get("InstanceNumber"))
    return own is None, own or 0, header.sop_uid


def _plan_ct(
    headers: Sequence[Header], good: Sequence[Header], skipped: list[Skipped]
) -> SeriesPlan:
    planes, refused = ct_planes(good)
    skipped += refused if planes else _summed(headers[0].series_uid, refused)
    try:
        stack = build_stack(planes)
    except InputError as error:
        why = refused[0].reason if refused and not planes else str(error)
        if planes or not refused:
            skipped.append(Skipped(headers[0].series_uid, why))
        return SeriesPlan(tuple(headers), None, (), tuple(skipped), why)
    uid = headers[0].series_uid
    skipped += [Skipped(uid, note) for note in stack.notes if note.endswith("left out")]
    return SeriesPlan(tuple(headers), stack, (), tuple(skipped), None)


def _summed(uid: str, refused: Sequence[Skipped]) -> list[Skipped]:
    """Say once what holds for every object of a series."""
    reasons = {r.reason for r in refused}
    return [Skipped(uid, reasons.pop())] if len(reasons) == 1 else list(refused)


def read_series(plan: SeriesPlan, pool: DecoderPool, done: Callable[[], None]) -> SeriesResult:
    """Decode what was planned. What fails is left out with its reason."""
    if plan.stack is not None:
        result = _read_ct(plan, plan.stack, pool, done)
    elif plan.radiographs:
        result = _read_radiographs(plan, pool, done)
    else:
        result = SeriesResult((), _info(plan, (), plan.why_not), plan.skipped)
    return replace(result, skipped=(*result.skipped, *_doubles(plan.headers, result)))


def _doubles(headers: Sequence[Header], result: SeriesResult) -> Iterator[Skipped]:
    """Name the files that were not needed, since another one has the same UID."""
    shown = {plane.sop_uid for image in result.images for plane in image.planes}
    failed = {skipped.what for skipped in result.skipped}
    for header in headers:
        whole = [one for one in (header, *header.others) if one.name not in failed]
        used = ", which is used" if header.sop_uid in shown else ""
        reason = f"other content than a longer file of SOPInstanceUID {header.sop_uid}{used}"
        yield from (Skipped(one.name, reason) for one in whole[1:])
        same = f"an identical copy of SOPInstanceUID {header.sop_uid}"
        yield from (Skipped(name, same) for name in header.copies)


def _read_ct(
    plan: SeriesPlan, stack: Stack, pool: DecoderPool, done: Callable[[], None]
) -> SeriesResult:
    first = plan.headers[0]
    try:
        volume, skipped = build_volume(
            stack, pool, study_uid=first.study_uid, series_uid=first.series_uid, done=done
        )
    except (InputError, MemoryError) as error:
        why = _no_memory(stack) if isinstance(error, MemoryError) else str(error)
        what = stack.planes[0].name if len(stack.planes) == 1 else first.series_uid
        skipped = (*plan.skipped, Skipped(what, why))
        return SeriesResult((), _info(plan, (), why), skipped)
    skipped = (*plan.skipped, *skipped)
    return SeriesResult(
        (volume,), _info(plan, (volume,), None), skipped, _sources(plan.headers, [volume])
    )


def _no_memory(stack: Stack) -> str:
    source = stack.planes[0].source
    size = f"{len(stack.planes)} planes of {source.rows} x {source.columns} pixels"
    return compose(f"memory for {size}", "not enough")


def _read_radiographs(
    plan: SeriesPlan, pool: DecoderPool, done: Callable[[], None]
) -> SeriesResult:
    pixels: dict[int, NDArray[Any]] = {}
    failed = pool.decode(plan.sources, pixels.__setitem__, done)
    skipped = list(plan.skipped)
    images: list[Image] = []
    used: list[Header] = []
    for index, header in enumerate(plan.radiographs):
        if index in failed:
            skipped.append(Skipped(header.name, failed[index]))
            header = _another(header, pixels, index, skipped)
        try:
            if index in pixels:
                images.append(build_radiograph(header, pixels.pop(index)))
                used.append(header)
        except SeriesError as error:
            skipped.append(Skipped(header.name, str(error)))
        except MemoryError:
            skipped.append(Skipped(header.name, compose("memory for its pixels", "not enough")))
    why = None if images else skipped[-1].reason
    info, sources = _info(plan, tuple(images), why), _sources(used, images)
    return SeriesResult(tuple(images), info, tuple(skipped), sources)


def _sources(headers: Sequence[Header], images: Sequence[Image]) -> dict[str, Source]:
    """Return the headers that objects made from these images begin with."""
    wanted = {image.planes[0].sop_uid for image in images}
    found = {h.sop_uid: read_source(h) for h in headers if h.sop_uid in wanted}
    return {uid: source for uid, source in found.items() if source is not None}


def _another(
    header: Header, pixels: dict[int, NDArray[Any]], index: int, skipped: list[Skipped]
) -> Header:
    """Decode a file of the same SOPInstanceUID instead, if there is one that can be read.

    `skipped` ends with the file that failed, and says then what became of all.
    """
    at = len(skipped) - 1
    for other in header.others:
        why = why_left_out(other)
        try:
            if why is None and other.pixels is not None:
                pixels[index] = decode(other.pixels)
                skipped[at] = replaced(skipped[at], header.sop_uid)
                return other
        except PixelError as error:
            why = str(error)
        skipped.append(Skipped(other.name, why or "an object without pixels"))
    return header


def _info(plan: SeriesPlan, images: Sequence[Image], why_not: str | None) -> SeriesInfo:
    shape: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    if images:
        image = images[0]
        shape = image.hu.shape if isinstance(image, Volume) else image.pixels.shape
        spacing = image.spacing_mm
    first = plan.headers[0]
    return SeriesInfo(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        modality=first.modality,
        shape=shape,
        spacing_mm=spacing,
        used=bool(images),
        why_not=why_not,
        series_number=number(first.tags.get("SeriesNumber")),
    )
