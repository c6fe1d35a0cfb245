"""DICOM objects as the network sees them: which they are, and the bytes of their files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from calcilens.errors import InputError, compose
from calcilens.imaging.records import Skipped

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TAGS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


class Instance(NamedTuple):
    """Which object; an archive need not say its class."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str = ""


class ObjectFile(NamedTuple):
    """A file with one object.

    Args:
        syntax_uid: Transfer syntax that it is stored in.
    """

    path: Path
    instance: Instance
    syntax_uid: str

    def sha256(self) -> str:
        """Return the hash of the whole file."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def is_uid(text: str) -> bool:
    """Say whether a text is a UID; leading zeros, which PS3.5 9.1 forbids, do occur."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def read_object(path: Path) -> ObjectFile:
    """Read which object a file holds.

    Raises:
        InputError: It is no DICOM file, or names no object, series or study.
    """
    fix = "only whole DICOM files (PS3.10) can be sent"
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        found = [str(header.get(tag) or "") for tag in _TAGS]
        syntax = str(header.file_meta.get("TransferSyntaxUID") or "")
    except InvalidDicomError:
        raise InputError(compose("a DICOM file", "another", where=str(path), fix=fix)) from None
    except Exception as error:  # pydicom has no end of errors for damaged files
        found_ = type(error).__name__
        raise InputError(compose("a DICOM file", found_, where=str(path), fix=fix)) from error
    named = zip([*_TAGS, "TransferSyntaxUID"], [*found, syntax], strict=True)
    bad = [tag for tag, uid in named if not is_uid(uid)]
    if bad:
        raise InputError(compose("valid UIDs", f"no valid {', '.join(bad)}", where=str(path)))
    sop_class, sop, study, series = found
    return ObjectFile(path, Instance(study, series, sop, sop_class), syntax)


def find_objects(paths: Sequence[Path]) -> tuple[list[ObjectFile], list[Skipped]]:
    """Find the objects in files and folders, each once; and what is left out, with the reason.

    Raises:
        InputError: There is no such file or folder.
    """
    objects: dict[str, ObjectFile] = {}
    skipped = []
    for path in [file for given in paths for file in _files(given)]:
        try:
            found = read_object(path)
        except InputError as error:
            skipped.append(Skipped(path.name, str(error)))
            continue
        first = objects.setdefault(found.instance.sop_uid, found)
        if first is not found and first.sha256() != found.sha256():
            why = f"{path}: another object with the UID of {first.path.name}"
            skipped.append(Skipped(path.name, why))
    return list(objects.values()), skipped


def _files(path: Path) -> list[Path]:
    """Return the files to look at; in folders lie others too, which are no mistake."""
    if path.is_dir():
        files = (p for p in path.rglob("*") if p.is_file() and p.name != "DICOMDIR")
        return sorted(p for p in files if _is_dicom(p))
    if not path.exists():
        raise InputError(compose("a file or folder", "nothing", where=str(path)))
    return [path]


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
