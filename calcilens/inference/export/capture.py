"""Each lesion as a picture with a few words, for viewers that show nothing else: Secondary Capture.

One picture a lesion, all of an image in one series, rather than one sheet a study: a reader scrolls
them like slices, each is large enough to be judged, names the slice that it was taken from, and can
be sent or hung alone; a sheet of thirty lesions could not be read.
"""

from __future__ import annotations

import highdicom
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from calcilens import __version__
from calcilens.imaging.images import Image, Volume
from calcilens.inference.export.directions import direction
from calcilens.inference.export.frames import frame_sources, image_references, settle
from calcilens.inference.export.identity import EQUIPMENT, NOTICE, SERIES_NUMBERS, description
from calcilens.inference.export.labels import colour, described, lines, place_in_body, plain
from calcilens.inference.export.lesion_seg import stamp
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.pictures import drawn, frame
from calcilens.inference.export.viewer import letters
from calcilens.inference.export.words import film_name, in_viewer, series_in_viewer, where
from calcilens.inference.lesions import Lesion

_LARGE, _SMALL, _EDGE = 24, 18, 12
_BAR = _SMALL + 8
_LENGTHS_MM = (1, 2, 5, 10, 20, 50, 100, 200)
"""Of the scale bar."""
_PICTURES = {
    "image": "Image, the lesion in its box",
    "overlay": "Where the model looked, bright most",
}
_NOTICE_COLOUR, _FAINT, _WHITE = (255, 214, 10), (159, 176, 191), (255, 255, 255)


def build(shown: Shown) -> list[Dataset]:
    """Return a Secondary Capture of each lesion."""
    return [_capture(shown, lesion) for lesion in shown.lesions]


def sheet(shown: Shown, lesion: Lesion) -> Pillow.Image:
    """Draw the pictures of a lesion side by side, with what it is above and the notice below."""
    made = {name: p for name, p in drawn(lesion).items() if name in _PICTURES}
    head, foot = 3 * _LARGE + 3 * _EDGE, _SMALL + 2 * _EDGE
    bar = scale_bar(lesion, made["image"].width)
    side = max(max(p.size) for p in made.values())
    width = max(2, len(made)) * (side + _EDGE) + _EDGE
    whole = Pillow.new("RGB", (width, head + side + _SMALL + (_BAR if bar else 0) + foot + _EDGE))
    pen = ImageDraw.Draw(whole)
    _write_head(pen, shown, lesion)
    for place, (name, picture) in enumerate(made.items()):
        left = _EDGE + place * (side + _EDGE)
        whole.paste(picture, (left, head))
        _write(pen, (left, head + side + 4), _PICTURES[name], _SMALL, _FAINT)
    _write_sides(pen, shown.image, (_EDGE, head), made["image"].size)
    if bar:
        _draw_bar(pen, (_EDGE, head + side + _SMALL + _EDGE), *bar)
    _write(pen, (_EDGE, whole.height - foot), NOTICE, _LARGE, _NOTICE_COLOUR)
    return whole


def _write_head(pen: ImageDraw.ImageDraw, shown: Shown, lesion: Lesion) -> None:
    first, *rest = lines(lesion, shown.number(lesion))
    at = plain(_place(shown, lesion))
    _write(pen, (_EDGE, _EDGE), first, _LARGE, _WHITE)
    _write(pen, (_EDGE, _EDGE + _LARGE + 6), " - ".join(rest), _LARGE, colour(lesion))
    program = f"Calcilens {__version__}, lesion {lesion.id}"
    _write(pen, (_EDGE, _EDGE + 2 * (_LARGE + 6)), f"{at} - {program}", _SMALL, _FAINT)


def _place(shown: Shown, lesion: Lesion) -> str:
    """Say where a viewer shows it; by our own count only where the files number nothing."""
    image, study = shown.image, shown.report.study
    number = image.planes[lesion.key_plane].number
    if isinstance(image, Volume):
        known = in_viewer(lesion, study)
        if known is None:
            return f"{where(lesion, study)}, counted from 1 - shown: {lesion.key_plane + 1}"
        return f"In a viewer: {known} - shown: {number}"
    if number is None:
        return where(lesion, study)
    return f"{film_name(image)} - in a viewer: {series_in_viewer(image, study)}image {number}"


def scale_bar(lesion: Lesion, width: int) -> tuple[int, float] | None:
    """Return a length in mm and in pixels of a picture of a lesion; None without a spacing.

    Args:
        lesion: What is shown.
        width: Of its picture, pixels; the bar is at most a third of it.
    """
    columns = frame(lesion)[1]
    if lesion.image.spacing_mm is None:
        return None
    mm_per_px = lesion.image.spacing_mm[-1] * (columns.stop - columns.start) / width
    fitting = [mm for mm in _LENGTHS_MM if mm / mm_per_px <= width / 3]
    return (fitting[-1], fitting[-1] / mm_per_px) if fitting else None


def _draw_bar(pen: ImageDraw.ImageDraw, at: tuple[int, int], mm: int, length: float) -> None:
    (x, y), end = at, at[0] + round(length)
    middle = y + _SMALL // 2
    pen.line([(x, middle), (end, middle)], _WHITE, width=2)
    for tick in (x, end):
        pen.line([(tick, middle - 5), (tick, middle + 5)], _WHITE, width=2)
    _write(pen, (end + 8, y), f"{mm} mm", _SMALL, _WHITE)


def _write_sides(
    pen: ImageDraw.ImageDraw, image: Image, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Write the patient's sides into a picture, where they are known."""
    (x, y), (width, height) = corner, size
    at = {
        "left": (x + 4, y + height // 2),
        "right": (x + width - 2 * _SMALL, y + height // 2),
        "top": (x + width // 2, y + 4),
        "bottom": (x + width // 2, y + height - _SMALL - 6),
    }
    for name, text in (letters(image) or {}).items():
        _write(pen, at[name], text, _SMALL, _WHITE)


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    ink: tuple[int, int, int],
) -> None:
    """Write a line, smaller where it would be longer than the sheet is wide."""
    room = pen.im.size[0] - at[0] - _EDGE
    fonts = (ImageFont.load_default(points) for points in range(size, 0, -1))
    font = next(f for f in fonts if pen.textlength(text, f) <= room)
    pen.text(at, text, fill=ink, font=font, stroke_width=1, stroke_fill=(0, 0, 0))


def _capture(shown: Shown, lesion: Lesion) -> Dataset:
    given = stamp(shown, "capture", lesion.id)
    pixels: NDArray[np.uint8] = np.asarray(sheet(shown, lesion))
    built: Dataset = highdicom.sc.SCImage.from_ref_dataset(
        frame_sources(shown.image, shown.source, [lesion.key_plane])[0],
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # set below: highdicom knows no oblique one
        series_instance_uid=given.series_uid,
        series_number=SERIES_NUMBERS["capture"],
        sop_instance_uid=given.sop_uid,
        instance_number=shown.number(lesion),
        **EQUIPMENT,
        transfer_syntax_uid=RLELossless,
        series_description=description("capture"),
    )
    built.PatientOrientation = _orientation(shown)
    built.ConversionType = "WSD"
    built.BurnedInAnnotation, built.RecognizableVisualFeatures = "YES", "NO"
    built.DerivationDescription = described(lesion, shown.number(lesion))
    built.SourceImageSequence = image_references(shown.image, shown.source, [lesion.key_plane])
    built.TrackingID, built.TrackingUID = lesion.id, lesion.tracking_uid
    place_in_body(built, shown.image, shown.source)
    settle(built, given)
    return built


def _orientation(shown: Shown) -> list[str] | str:
    """Return the directions of rows and columns (PS3.3 C.7.6.1.1.1); nothing where unknown."""
    if isinstance(shown.image, Volume):
        axes = shown.image.affine.matrix[:3]
        return [direction(axes[:, 2]), direction(axes[:, 1])]
    return shown.source.header.get("PatientOrientation") or ""
