"""The lesions of an image as a DICOM Segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcilens.imaging.images import Volume
from calcilens.imaging.sources import plane_headers
from calcilens.inference.export.identity import MODEL_NAME, NOTICE, date_time
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.seg import SegIdentity, Segment, build_seg
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import Code

FAMILY = Code("123110", "DCM", "Artificial Intelligence")


def build(shown: Shown) -> list[Dataset]:
    """Return the Segmentation of an image's lesions; none where it has no lesion."""
    if not shown.lesions:
        return []
    date, time = date_time(shown.source.header)
    identity = SegIdentity(
        series_uid=shown.uid("seg", "series"),
        sop_uid=shown.uid("seg"),
        dimension_uid=shown.uid("seg", "dimensions"),
        date=date,
        time=time,
        algorithm=MODEL_NAME,
        family=FAMILY,
        description=f"Calcifications, {NOTICE}",
    )
    sources = plane_headers(shown.image, shown.source)
    return [build_seg(sources, [_segment(x) for x in shown.lesions], identity)]


def _segment(lesion: Lesion) -> Segment:
    return Segment(lesion.id, lesion.candidate.why, lesion.tracking_uid, whole_mask(lesion))


def whole_mask(lesion: Lesion) -> NDArray[np.bool_]:
    """Return a lesion's mask, or its box where there is none, (Z, Y, X) in the image's grid."""
    image = lesion.image
    pixels = image.hu if isinstance(image, Volume) else image.pixels[None]
    mask = np.zeros(pixels.shape, bool)
    part = tuple(slice(a, b) for a, b in lesion.candidate.box.T)
    mask[part] = True if lesion.candidate.mask is None else lesion.candidate.mask
    return mask
