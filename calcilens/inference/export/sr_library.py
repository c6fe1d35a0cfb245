"""The images that were searched, as an image library (PS3.16 TID 1600 to 1604)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import sr

from calcilens.imaging.images import Radiograph
from calcilens.inference.export import concepts as c
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.sr_group import reference
from calcilens.inference.export.sr_items import code_item, concept, container
from calcilens.vocabulary import Code

_CONTEXT = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_LIBRARY = Code("111028", "DCM", "Image Library")
_GROUP = Code("126200", "DCM", "Image Library Group")
_SOURCE = Code("260753009", "SCT", "Source")
_MODALITY = Code("121139", "DCM", "Modality")
_FRAME = Code("112227", "DCM", "Frame of Reference UID")
_ROWS = Code("110910", "DCM", "Pixel Data Rows")
_COLUMNS = Code("110911", "DCM", "Pixel Data Columns")
_HORIZONTAL = Code("111026", "DCM", "Horizontal Pixel Spacing")
_VERTICAL = Code("111066", "DCM", "Vertical Pixel Spacing")
_BETWEEN = Code("112226", "DCM", "Spacing between slices")


def library(images: Sequence[Shown]) -> Any:
    """Return the library: a group an image, an entry a file."""
    return container(_LIBRARY, [_group(shown) for shown in images])


def _group(shown: Shown) -> Any:
    image = shown.image
    kind = Code(image.modality, "DCM", c.MODALITIES[image.modality])
    items = [code_item(_MODALITY, kind, _CONTEXT)]
    if image.frame_of_reference_uid:
        uid = image.frame_of_reference_uid
        items.append(sr.UIDRefContentItem(concept(_FRAME), uid, relationship_type=_CONTEXT))
    items += [
        sr.NumContentItem(concept(name), value, concept(unit), relationship_type=_CONTEXT)
        for name, value, unit in _grid(shown)
    ]
    return container(_GROUP, [*items, *_entries(shown)])


def _grid(shown: Shown) -> list[tuple[Code, float, Code]]:
    image = shown.image
    pixels = image.pixels if isinstance(image, Radiograph) else image.hu
    rows, columns = pixels.shape[-2:]
    found: list[tuple[Code, float, Code]] = [
        (_ROWS, int(rows), c.PIXELS),
        (_COLUMNS, int(columns), c.PIXELS),
    ]
    if image.spacing_mm is not None:
        names = (_BETWEEN, _VERTICAL, _HORIZONTAL)[-len(image.spacing_mm) :]
        found += [(n, round(v, 6), c.MM) for n, v in zip(names, image.spacing_mm, strict=True)]
    return found


def _entries(shown: Shown) -> list[Any]:
    named = dict.fromkeys(reference(shown, z)[:2] for z in range(len(shown.image.planes)))
    contains = sr.RelationshipTypeValues.CONTAINS
    return [
        sr.ImageContentItem(concept(_SOURCE), kind, uid, relationship_type=contains)
        for kind, uid in named
    ]
