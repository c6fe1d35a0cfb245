"""Where the models looked, as DICOM: Parametric Maps of a CT, fractional SEG on radiographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes

from calcilens import MODEL_NAME
from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.sources import decimal
from calcilens.inference.export.concepts import ANYWHERE, site
from calcilens.inference.export.frames import depth_mm, frame_sources, refer, settle
from calcilens.inference.export.identity import EQUIPMENT, SERIES_NUMBERS, description
from calcilens.inference.export.labels import described, parameters
from calcilens.inference.export.lesion_seg import BY_NETWORK, stamp
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.seg import About, Segment, build_seg, concept
from calcilens.inference.lesions import Lesion, SaliencyMap
from calcilens.models.saliency import HIRESCAM
from calcilens.vocabulary import Code

GRADIENTS = Code("130403", "DCM", "Gradient-weighted class activation")
SALIENCY = Code("130404", "DCM", "Saliency")
"""Visual explanations (CID 217): of the kinds of maps, the first is HiResCAM's, and an attention
map, which needs no gradient and no class, is a saliency map like any other."""
RELATION = Code("309825002", "SCT", "Spatial and Relational Concept")


def build(shown: Shown) -> list[Dataset]:
    """Return one object for each lesion whose map is shown."""
    image = shown.image
    seen = [(x, x.saliency) for x in shown.lesions]
    if isinstance(image, Volume):
        return [
            _map(shown, image, lesion, found) for lesion, found in seen if found and found.shown
        ]
    return [_film(shown, image, lesion, found) for lesion, found in seen if found and found.shown]


def build_whole(shown: Shown) -> list[Dataset]:
    """Return one map over all of a CT: OHIF shows no other, and reads none that is compressed."""
    image = shown.image
    seen = [found for x in shown.lesions if (found := x.saliency) and found.shown]
    if not isinstance(image, Volume) or not seen:
        return []
    values = np.zeros(image.hu.shape, np.float32)
    for found in seen:
        plane = found.in_plane((image.hu.shape[1], image.hu.shape[2]))
        for z in set(found.location.planes):
            np.maximum(values[z], plane, out=values[z])
    part = _Part(values, range(len(values)))
    built = _built(shown, image, part, seen[0].method, ("saliency-whole",))
    _order_for_ohif(built)
    return [built]


def _order_for_ohif(built: Dataset) -> None:
    """Put frames in the order of OHIF's volume: up along the normal of the planes.

    OHIF 3.13 lays the frames of a map on a volume as they come, whatever they refer to.
    """
    frames = list(built.PerFrameFunctionalGroupsSequence)
    shared = built.SharedFunctionalGroupsSequence[0]
    turn = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    places = [f.PlanePositionSequence[0].ImagePositionPatient for f in frames]
    order = np.argsort(np.array(places, float) @ np.cross(turn[:3], turn[3:]), kind="stable")
    values = np.frombuffer(built.FloatPixelData, "<f4").reshape(len(frames), -1)
    built.PerFrameFunctionalGroupsSequence = [frames[i] for i in order]
    built.FloatPixelData = values[order].tobytes()


def method_code(method: str) -> Code:
    """Return the code of a method (CID 217)."""
    return GRADIENTS if method == HIRESCAM else SALIENCY


def cropped(found: SaliencyMap, shape: tuple[int, int]) -> tuple[NDArray[np.float32], int, int]:
    """Return the part of a map that lies in its plane (Y, X), and its first row and column."""
    (y, x), size = found.location.origin, found.location.size
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + size, shape[0]), min(x + size, shape[1])
    part = found.values[top - y : bottom - y, left - x : right - x]
    return np.ascontiguousarray(part, np.float32), top, left


@dataclass(frozen=True, eq=False)
class _Part:
    """A map of some planes of a CT: values (Z, Y, X), the planes, and its first row and column."""

    values: NDArray[np.float32]
    planes: Sequence[int]
    top: int = 0
    left: int = 0


def _map(shown: Shown, image: Volume, lesion: Lesion, found: SaliencyMap) -> Dataset:
    """Make the Parametric Map of a lesion's patch: a plane of it for each of its planes."""
    planes = sorted(set(found.location.planes))
    values, top, left = cropped(found, (image.hu.shape[1], image.hu.shape[2]))
    part = _Part(np.repeat(values[None], len(planes), 0), planes, top, left)
    built = _built(shown, image, part, found.method, ("saliency", lesion.id))
    built.InstanceNumber = shown.number(lesion)
    built.ContentDescription = described(lesion, shown.number(lesion))[:64]
    _track(built, lesion)
    return built


def _built(
    shown: Shown, image: Volume, part: _Part, method: str, named: tuple[str, ...]
) -> Dataset:
    """Build a map; it is named by its format and what tells it from others of that format."""
    kind, given = named[0], stamp(shown, *named)
    place = image.affine.shifted((0, part.top, part.left))
    built: Dataset = highdicom.pm.ParametricMap(
        source_images=frame_sources(image, shown.source, part.planes),
        pixel_array=part.values,
        plane_positions=[_position(place.to_mm((plane, 0, 0))) for plane in part.planes],
        pixel_measures=highdicom.PixelMeasuresSequence(image.spacing_mm[1:], depth_mm(image)),
        series_instance_uid=given.series_uid,
        series_number=SERIES_NUMBERS[kind],
        sop_instance_uid=given.sop_uid,
        instance_number=1,
        **EQUIPMENT,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(method)],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(window_center=0.5, window_width=1.0)
        ],
        content_label="SALIENCY",
        content_description=description(kind),
        series_description=description(kind),
        derivation=concept(method_code(method)),
    )
    settle(built, given)
    refer(built, image, shown.source)
    _anatomy(built, shown)
    return built


def _position(place: NDArray[np.float64]) -> highdicom.PlanePositionSequence:
    return highdicom.PlanePositionSequence(
        highdicom.CoordinateSystemNames.PATIENT, [float(v) for v in decimal(place)]
    )


def _mapping(method: str) -> highdicom.pm.RealWorldValueMapping:
    return highdicom.pm.RealWorldValueMapping(
        lut_label="SALIENCY",
        lut_explanation=method[:64],
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=concept(method_code(method)),
    )


def _anatomy(built: Dataset, shown: Shown) -> None:
    """Say where in the body it lies: dcmqi reads no map without it, and dciodvfy passes none."""
    item = Dataset()
    item.AnatomicRegionSequence = DicomSequence([concept(site(shown.image.body_part) or ANYWHERE)])
    item.FrameLaterality = shown.image.side or "U"
    built.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = DicomSequence([item])


def _track(built: Dataset, lesion: Lesion) -> None:
    """Name the lesion: the same UID stands in every object that shows it."""
    built.TrackingID, built.TrackingUID = lesion.id, lesion.tracking_uid


def _film(shown: Shown, image: Radiograph, lesion: Lesion, found: SaliencyMap) -> Dataset:
    """Make the fractional Segmentation of a map: the whole film, which has no place in space."""
    values, top, left = cropped(found, (image.pixels.shape[0], image.pixels.shape[1]))
    number = shown.number(lesion)
    segment = Segment(
        label=f"{number}: saliency",
        description=f"{found.method}; {described(lesion, number)}",
        tracking=(lesion.id, lesion.tracking_uid),
        mask=values[None],
        start=(0, top, left),
        category=RELATION,
        kind=method_code(found.method),
    )
    about = About(
        algorithm=MODEL_NAME,
        family=BY_NETWORK,
        description=description("saliency"),
        series_number=SERIES_NUMBERS["saliency"],
        label="SALIENCY",
        parameters=parameters(shown.report.models),
    )
    given = stamp(shown, "saliency", lesion.id)
    sources = frame_sources(image, shown.source, [0])
    seg = build_seg(sources, [segment], about, given)
    refer(seg, image, shown.source)
    seg.InstanceNumber, seg.ContentQualification = number, "RESEARCH"
    return seg
