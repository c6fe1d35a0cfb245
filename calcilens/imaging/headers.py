"""What a file says before its pixels: the tags that matter, and where the pixels lie."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from calcilens import MANUFACTURER, MODEL_NAME
from calcilens.errors import InputError, compose
from calcilens.imaging.decode import NOT_SEEKABLE, PixelSource, quiet
from calcilens.imaging.inflate import check_inflated
from calcilens.imaging.records import Skipped
from calcilens.imaging.scan import claims_dicom, is_dicom

TAGS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "StudyDate", "Modality", "ImageType", "InstanceNumber",
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "EchoNumbers",
    "AcquisitionTime", "ContentTime", "ConvolutionKernel", "KVP", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "PixelSpacingCalibrationType",
    "EstimatedRadiographicMagnificationFactor", "BodyPartExamined", "Laterality",
    "ImageLaterality", "ViewPosition", "ViewCodeSequence", "SeriesNumber", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "VolumetricProperties",
    "VolumeBasedCalculationTechnique", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
"""Nothing that names a patient is among them."""
_WANTED: list[BaseTag | int] = [Tag(keyword) for keyword in TAGS]

_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # (7FE0,0010), little and big endian
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double float and plain pixel data
MAX_ELEMENTS = 50_000
"""Top-level elements of a header; zeros after a preamble would pass for millions of them."""
_UID = re.compile(r"[0-9.]{1,64}")
_UNKNOWN_LENGTH = 0xFFFFFFFF
_REQUIRED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PIXEL_FACTS = ("Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation")
_TERMS = (
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM "
    "HC HD IO IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT "
    "PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN "
    "RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC"
)
_MODALITIES = frozenset(_TERMS.split())
"""Defined terms (PS3.3 C.7.3.1.1.1); a patient's name may stand in place of one."""


@dataclass(frozen=True, eq=False)
class Header:
    """One DICOM file without its pixels.

    Args:
        name: File name relative to the input.
        tags: The data elements of TAGS.
        modality: A defined term; empty where the file gives none.
        pixels: Where frame 0 lies; None for an object without pixels.
        others: Files with the same SOPInstanceUID and other content, tried in their order if this
            one fails; what becomes of them is known when pixels were read.
        copies: Names of files with the same content.
    """

    name: str
    path: Path
    tags: Dataset
    study_uid: str
    series_uid: str
    sop_uid: str
    modality: str
    pixels: PixelSource | None
    others: tuple[Header, ...] = ()
    copies: tuple[str, ...] = ()


def read_headers(
    files: list[tuple[str, Path]], tick: Callable[[], None] = lambda: None
) -> tuple[list[Header], list[Skipped]]:
    """Read the headers of all files that are DICOM.

    Returned beside them is what cannot be read, and so belongs to no study.
    Files that are not DICOM and do not claim to be are passed over in silence; so are results of
    Calcilens: a study says the same whether or not they lie beside its images.
    """
    headers: list[Header] = []
    skipped: list[Skipped] = []
    for name, path in files:
        try:
            header = _read_one(name, path)
        except InputError as error:
            skipped.append(Skipped(name, str(error)))
        else:
            if header is not None:
                headers.append(header)
        tick()
    return _without_copies(headers), skipped


def _read_one(name: str, path: Path) -> Header | None:
    try:
        with path.open("rb") as stream:
            head = stream.read(144)
            if not is_dicom(head):
                _refuse_claim(name, head)
                return None
            stream.seek(0)
            with quiet():
                return _parse(name, path, stream)
    except OSError as error:
        raise InputError(f"the file cannot be opened: {error.strerror or error}") from error


def read_patient(header: Header) -> str | None:
    """Return the PatientID of a file, to be hashed at once; None where it has none."""
    try:
        with header.path.open("rb") as stream, quiet():
            tags = read_partial(stream, _Stop(), force=True, specific_tags=[Tag("PatientID")])
            return str(tags.get("PatientID") or "").strip() or None
    except Exception:  # pydicom raises anything on broken values
        return None


def read_study_uid(path: Path) -> str | None:
    """Return which study a file belongs to, read no further than that; None for anything else."""
    stop = _Stop()
    wanted = Tag("StudyInstanceUID")
    try:
        with path.open("rb") as stream, quiet():
            if not is_dicom(stream.read(144)):
                return None
            stream.seek(0)
            check_inflated(stream)
            tags = read_partial(
                stream, lambda *at: at[0] > wanted or stop(*at), force=True, specific_tags=[wanted]
            )
            return _uid(tags, "StudyInstanceUID")
    except Exception:  # pydicom raises anything on broken files; reading the study says which
        return None


def _refuse_claim(name: str, head: bytes) -> None:
    if claims_dicom(name):
        raise InputError(compose("a DICOM file", "other content" if head else "an empty file"))


def _parse(name: str, path: Path, stream: BinaryIO) -> Header | None:
    try:
        check_inflated(stream)
        tags = read_partial(stream, _Stop(), force=True, specific_tags=_WANTED)
        at = stream.tell()
        _settle(tags)
        meta = getattr(tags, "file_meta", Dataset())
        if meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
            return None  # a DICOMDIR: its files are here themselves
        if _is_result(tags):
            return None
        study, series, sop = (_uid(tags, keyword) for keyword in _REQUIRED_UIDS)
        pixels = _pixel_source(tags, path, stream, at)
        modality = modality_of(tags)
    except (OSError, MemoryError, InputError):
        raise
    except Exception as error:  # pydicom raises anything on broken files
        found = f"{type(error).__name__}: {error}"
        raise InputError(compose("a readable DICOM header", found[:160])) from error
    return Header(name, path, tags, study, series, sop, modality, pixels)


class _Stop:
    """Ends the reading of a header at its pixels, and where it is longer than any real one."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise InputError(compose(f"at most {MAX_ELEMENTS} header elements", "more"))
        return tag in _PIXEL_TAGS


def _is_result(tags: Dataset) -> bool:
    """Tell whether an object is a result of this program; its phantoms name another model."""
    named = tags.get("Manufacturer"), tags.get("ManufacturerModelName")
    return named == (MANUFACTURER, MODEL_NAME)


def _settle(tags: Dataset) -> None:
    """Convert every value once, here; one that cannot be counts as missing from now on."""
    for tag in list(tags.keys()):
        try:
            tags[tag]
        except Exception:  # pydicom raises anything on broken values
            del tags[tag]


def modality_of(tags: Dataset) -> str:
    """Return the Modality where it is a defined term; empty for anything else."""
    value = str(tags.get("Modality") or "").strip().upper()
    return value if value in _MODALITIES else ""


def _uid(tags: Dataset, keyword: str) -> str:
    """Return a UID that other objects can refer to (PS3.5 section 9)."""
    value = str(tags.get(keyword) or "")
    if not _UID.fullmatch(value):
        found = "none" if not value else "one with other characters"
        raise InputError(compose(f"a {keyword} of digits and dots", found))
    return value


def _pixel_source(tags: Dataset, path: Path, stream: BinaryIO, at: int) -> PixelSource | None:
    """Describe the pixels; `at` is where reading the header stopped."""
    syntax = _syntax(tags)
    offset, length = NOT_SEEKABLE, _UNKNOWN_LENGTH
    if syntax != uid.DeflatedExplicitVRLittleEndian:
        stream.seek(at)
        element = stream.read(12)
        if element[:4] not in _PIXEL_DATA:
            return None
        offset, length = _value_place(at, element, uid.UID(syntax))
    if "Rows" not in tags:
        return None
    missing = [keyword for keyword in _PIXEL_FACTS if tags.get(keyword) in (None, "")]
    if missing:
        raise InputError(compose(f"{', '.join(missing)} beside the pixels", "none"))
    stored = int(tags.BitsStored)
    return PixelSource(
        path=str(path),
        offset=offset,
        length=length,
        syntax=syntax,
        rows=int(tags.Rows),
        columns=int(tags.Columns),
        bits_allocated=int(tags.BitsAllocated),
        bits_stored=stored,
        high_bit=int(tags.get("HighBit", stored - 1)),
        signed=bool(tags.get("PixelRepresentation", 0)),
        photometric=str(tags.PhotometricInterpretation),
        frames=int(tags.get("NumberOfFrames") or 1),
    )


def _syntax(tags: Dataset) -> str:
    """Return the transfer syntax; without a file meta header, the one that was found to fit."""
    meta = getattr(tags, "file_meta", Dataset())
    if meta.get("TransferSyntaxUID"):
        return str(meta.TransferSyntaxUID)
    implicit, little = tags.original_encoding
    if not little:
        return str(uid.ExplicitVRBigEndian)
    return str(uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian)


def _value_place(at: int, element: bytes, syntax: uid.UID) -> tuple[int, int]:
    """Return offset and length of an element's value from its first 12 bytes."""
    order: Literal["little", "big"] = "little" if syntax.is_little_endian else "big"
    if syntax.is_implicit_VR:
        return at + 8, int.from_bytes(element[4:8], order)
    return at + 12, int.from_bytes(element[8:12], order)


def _without_copies(headers: list[Header]) -> list[Header]:
    """Keep one file for each SOP instance, and with it what else has its UID."""
    kept: dict[tuple[str, str, str], Header] = {}
    # The longest file first: one that is cut short never wins over the whole one.
    for header in sorted(headers, key=lambda h: -h.path.stat().st_size):
        key = (header.study_uid, header.series_uid, header.sop_uid)
        first = kept.get(key)
        if first is None:
            kept[key] = header
        elif filecmp.cmp(first.path, header.path, shallow=False):
            kept[key] = replace(first, copies=(*first.copies, header.name))
        else:
            kept[key] = replace(first, others=(*first.others, header))
    return list(kept.values())
