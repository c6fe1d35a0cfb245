"""Outlines and a few words on the planes that show lesions best: a DICOM Presentation State."""

from __future__ import annotations

from typing import Any

import highdicom
import numpy as np
from highdicom.pr import GraphicAnnotation, GraphicLayer, GraphicObject, TextObject
from pydicom.dataset import Dataset

from calcilens.imaging.display import window_of
from calcilens.imaging.images import Volume
from calcilens.imaging.sources import Source
from calcilens.inference.export.frames import (
    frame_sources,
    image_references,
    settle,
)
from calcilens.inference.export.identity import EQUIPMENT, NOTICE, SERIES_NUMBERS, description
from calcilens.inference.export.labels import COLOURS, lines, place_in_body
from calcilens.inference.export.lesion_seg import stamp
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.outlines import outlines
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import ConcernLevel

WINDOWS = (("Mineral", 350, 1000), ("Soft tissue", 40, 400), ("Bone", 400, 1800))
"""Name, centre and width, HU: those of the page. A viewer shows the first, and offers the rest."""
_TEXT, _GAP_PX = np.array([0.1, 0.33]), 6.0
"""Room for the words of a lesion, height and width as shares of the image: most viewers write them
in a size of their own."""
_NOTICE_LAYER = "NOTICE"
_NOTICE_BOX = (0.02, 0.93, 0.6, 0.99)


def build(shown: Shown) -> list[Dataset]:
    """Return the Presentation State of an image; none where it has no lesion."""
    if not shown.lesions:
        return []
    planes = sorted({lesion.key_plane for lesion in shown.lesions})
    headers = dict(zip(planes, frame_sources(shown.image, shown.source, planes), strict=True))
    if not isinstance(shown.image, Volume):
        headers = {plane: _as_read(header) for plane, header in headers.items()}
    layers = _layers(shown)
    given = stamp(shown, "presentation")
    built: Dataset = highdicom.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=list(headers.values()),
        series_instance_uid=given.series_uid,
        series_number=SERIES_NUMBERS["presentation"],
        sop_instance_uid=given.sop_uid,
        instance_number=1,
        **EQUIPMENT,
        content_label="CALCIFICATIONS",
        content_description=description("presentation"),
        series_description=description("presentation"),
        graphic_layers=list(layers.values()),
        graphic_annotations=[
            *(_drawn(x, shown.number(x), headers[x.key_plane], layers) for x in shown.lesions),
            _notice(list(headers.values()), layers[_NOTICE_LAYER]),
        ],
        **_transformations(shown),
    )
    settle(built, given)
    place_in_body(built, shown.image, shown.source)
    _refer(built, shown, planes)
    return [built]


def _layers(shown: Shown) -> dict[str, GraphicLayer]:
    """Return a layer for each level of concern that occurs, in its colour, and the notice's."""
    found = {lesion.level for lesion in shown.lesions}
    layers = {
        str(level): GraphicLayer(level.upper(), order, "Level of concern", _lab(COLOURS[level]))
        for order, level in enumerate((v for v in ConcernLevel if v in found), 1)
    }
    return layers | {_NOTICE_LAYER: GraphicLayer(_NOTICE_LAYER, len(layers) + 1)}


def _lab(colour: tuple[int, int, int]) -> Any:
    return highdicom.color.CIELabColor.from_rgb(*colour)


def _drawn(
    lesion: Lesion, number: int, header: Dataset, layers: dict[str, GraphicLayer]
) -> GraphicAnnotation:
    """Draw a lesion's outlines, and write beside it what it is."""
    tracked = {"tracking_id": lesion.id, "tracking_uid": lesion.tracking_uid}
    return GraphicAnnotation(
        referenced_images=[header],
        graphic_layer=layers[lesion.level.value],
        graphic_objects=[
            GraphicObject("POLYLINE", line, "PIXEL", **tracked)
            for line in outlines(lesion, lesion.key_plane)
        ],
        text_objects=[
            TextObject(
                "\r\n".join(lines(lesion, number)),
                "PIXEL",
                bounding_box=beside(lesion, (header.Rows, header.Columns)),
                text_justification="LEFT",
                **tracked,
            )
        ],
    )


def beside(lesion: Lesion, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return room for words (x0, y0, x1, y1) beside a lesion: where the image has it, pixels."""
    (y0, x0), (y1, x1) = lesion.candidate.box[:, 1:].astype(float)
    height, width = _TEXT * np.array(shape)
    top = float(np.clip((y0 + y1 - height) / 2, 0, shape[0] - height))
    left = float(np.clip(x0, 0, shape[1] - width))
    if x1 + _GAP_PX + width <= shape[1]:
        left = x1 + _GAP_PX
    elif x0 - _GAP_PX - width >= 0:
        left = x0 - _GAP_PX - width
    else:  # it is nearly as wide as the image: below it, or above
        below = y1 + _GAP_PX + height <= shape[0]
        top = y1 + _GAP_PX if below else max(0.0, y0 - _GAP_PX - height)
    return left, top, left + float(width), top + float(height)


def _notice(headers: list[Dataset], layer: GraphicLayer) -> GraphicAnnotation:
    text = TextObject(NOTICE, "DISPLAY", bounding_box=_NOTICE_BOX, text_justification="LEFT")
    return GraphicAnnotation(headers, layer, text_objects=[text])


def _transformations(shown: Shown) -> dict[str, Any]:
    """Return how stored values become grey: CT by our windows, a film as its file asks."""
    if isinstance(shown.image, Volume):
        slope, intercept = rescale(shown.source)
        names, centres, widths = zip(*WINDOWS, strict=True)
        return {
            "modality_lut_transformation": highdicom.ModalityLUTTransformation(
                rescale_intercept=intercept, rescale_slope=slope, rescale_type="HU"
            ),
            "voi_lut_transformations": [
                highdicom.pr.SoftcopyVOILUTTransformation(
                    window_center=centres, window_width=widths, window_explanation=names
                )
            ],
        }
    inverse = shown.source.header.get("PhotometricInterpretation") == "MONOCHROME1"
    shape = highdicom.PresentationLUTTransformation("INVERSE" if inverse else "IDENTITY")
    return {"presentation_lut_transformation": shape}


def _as_read(header: Dataset) -> Dataset:
    """Leave of a film's header what its pictures are drawn by: highdicom would refuse the rest."""
    if any(header.get(k) in (None, "") for k in ("RescaleSlope", "RescaleIntercept")):
        _drop(header, "RescaleSlope", "RescaleIntercept", "RescaleType")
    found = None if header.get("VOILUTSequence") else window_of(header)
    _drop(header, "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
    if found is not None:
        header.WindowCenter, header.WindowWidth, header.VOILUTFunction = found
    return header


def _drop(header: Dataset, *keywords: str) -> None:
    for keyword in keywords:
        header.pop(keyword, None)


def rescale(source: Source) -> tuple[float, float]:
    """Return slope and intercept of a CT's first plane, also of an enhanced one (C.7.6.16.2.9)."""
    header = source.header
    groups = [
        *header.get("SharedFunctionalGroupsSequence", []),
        *header.get("PerFrameFunctionalGroupsSequence", [])[:1],
    ]
    macros = [g.PixelValueTransformationSequence[0] for g in groups if _has_scale(g)]
    found = (macros or [header])[0]
    return float(found.RescaleSlope), float(found.RescaleIntercept)


def _has_scale(group: Dataset) -> bool:
    return bool(group.get("PixelValueTransformationSequence"))


def _refer(built: Dataset, shown: Shown, planes: list[int]) -> None:
    """Name the files, and the frames in them, that the drawings are for."""
    drawn = [[lesion.key_plane] for lesion in shown.lesions]
    for item, seen in zip(built.GraphicAnnotationSequence, [*drawn, planes], strict=True):
        item.ReferencedImageSequence = image_references(shown.image, shown.source, seen)
    built.ReferencedSeriesSequence[0].ReferencedImageSequence = image_references(
        shown.image, shown.source, planes
    )
    for area in built.DisplayedAreaSelectionSequence:
        if "ReferencedImageSequence" in area:
            area.ReferencedImageSequence = image_references(shown.image, shown.source, planes)
