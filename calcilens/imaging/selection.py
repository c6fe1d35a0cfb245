"""Which objects of a study are images to look at, and why the others are not."""

from __future__ import annotations

from pydicom import uid
from pydicom.dataset import Dataset

from calcilens.imaging.decode import PixelSource
from calcilens.imaging.headers import Header

RADIOGRAPHS = ("CR", "DX", "RG", "MG", "RF")
_CT_CLASSES = {
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
}
_REFORMATS = {
    "MPR", "CSA MPR", "CPR", "CURVED_MPR", "REFORMATTED", "MIP", "MINIP", "MAX_IP", "MIN_IP",
    "CSA MIP", "MEAN_IP", "PROJECTION IMAGE", "PROJECTION_IMAGE", "VRT", "VOLUME_RENDER",
    "SURFACE_RENDER", "SSD", "3D",
}  # fmt: skip
_MAPS = {
    "PERFUSION", "DENSITY_MAP", "IODINE", "CBF", "CBV", "MTT", "TTP", "TMAX", "PERM",
    "SUBTRACTION", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "MAT_FRACTIONAL", "MAT_SPECIFIC",
    "VMI",
}  # fmt: skip
_CAPTURES = {"SCREEN SAVE", "SCREEN_SAVE", "DOSE_INFO", "DOSE INFO"}
MAX_PIXELS = 2**28
"""Pixels of one plane: several times what the largest detector has."""
_OBJECTS = {
    "SR": "a structured report (a dose sheet or measurements), not an image",
    "SEG": "a segmentation, not an image; give it with --roi",
    "RTSTRUCT": "a structure set, not an image; give it with --roi",
    "PR": "a presentation state, not an image",
    "KO": "a key object selection, not an image",
}


def why_left_out(header: Header) -> str | None:
    """Return why an object is not read as an image, or None where it is."""
    tags, modality = header.tags, header.modality
    if modality in _OBJECTS:
        return _OBJECTS[modality]
    if modality != "CT" and modality not in RADIOGRAPHS:
        named = f"modality {modality}" if modality else "another modality, or none,"
        return f"{named} is not read, only CT, {', '.join(RADIOGRAPHS)}"
    if header.pixels is None:
        return "holds no image pixels"
    if tags.get("SamplesPerPixel", 1) != 1 or "MONOCHROME" not in header.pixels.photometric:
        return "a colour capture"
    if not _is_plain(header.pixels):
        return "pixels are stored in another way than 8 or 16 bits"
    if header.pixels.rows * header.pixels.columns > MAX_PIXELS:
        return f"{header.pixels.rows} x {header.pixels.columns} pixels, more than any detector has"
    if modality == "CT":
        return _why_not_ct(tags)
    return "a radiograph of several frames" if header.pixels.frames > 1 else None


def why_not_frame(image_type: list[str], *, reconstructed: bool = True) -> str | None:
    """Return why a CT frame of that ImageType (or FrameType) is no primary slice."""
    kinds = {kind.strip().upper() for kind in image_type[2:]}
    if "LOCALIZER" in kinds:
        return "a localiser"
    if kinds & _CAPTURES:
        return "a screen capture"
    if reconstructed and kinds & _REFORMATS:
        return "a reformat of another series"
    if reconstructed and kinds & _MAPS:
        return "a derived map, not Hounsfield units"
    return None


def image_type(tags: Dataset, keyword: str = "ImageType") -> list[str]:
    """Return ImageType or FrameType as a list, empty where missing."""
    value = tags.get(keyword) or []
    return [value] if isinstance(value, str) else [str(v) for v in value]


def _is_plain(pixels: PixelSource) -> bool:
    """Tell whether pixels are whole numbers of one or two bytes that fit into themselves."""
    fits = 1 <= pixels.bits_stored <= pixels.high_bit + 1 <= pixels.bits_allocated
    return pixels.bits_allocated in (8, 16) and fits and min(pixels.rows, pixels.columns) > 0


def _why_not_ct(tags: Dataset) -> str | None:
    """Judge a CT object as a whole; frames of an enhanced one are judged again singly."""
    if tags.get("SOPClassUID") not in _CT_CLASSES:
        return "a secondary capture: no Hounsfield units"
    kinds = image_type(tags)
    # Some archives mark every image DERIVED; only a reformat or map says more than that.
    reason = why_not_frame(kinds, reconstructed=kinds[:1] == ["DERIVED"])
    if reason is None and str(tags.get("RescaleType") or "HU").upper() not in ("HU", "US"):
        reason = "pixel values in another unit than Hounsfield"
    technique = str(tags.get("VolumeBasedCalculationTechnique") or "NONE")
    if reason is None and technique.upper() in _REFORMATS:
        reason = "a reformat of another series"
    return reason
