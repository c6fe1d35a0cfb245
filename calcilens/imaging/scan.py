"""Which files an input holds: a file, a folder, a zip archive or a DICOMDIR."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.errors import StudyError, compose
from calcilens.imaging.decode import quiet
from calcilens.imaging.records import Skipped

MAX_UNPACKED_BYTES = 32 * 2**30
"""An archive that unpacks to more is refused: no study is that large."""
MAX_MEMBERS = 200_000
_CHUNK = 2**20
_DICOM_SUFFIXES = {".dcm", ".dicom", ".dic", ".ima"}
_HEAD = 144


@dataclass
class Found:
    """Files that may be DICOM, and what was left out on the way to them.

    Args:
        files: Pairs of the name relative to the input and where the file lies.
    """

    files: list[tuple[str, Path]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@contextmanager
def opened(path: Path) -> Iterator[Found]:
    """List the files of an input; a zip is unpacked to a folder that is removed afterwards.

    Errors name the input as the user wrote it; files in it are named as they lie in it.

    Raises:
        StudyError: There is no such path, or the archive cannot be read.
    """
    if path.is_dir():
        yield _walk(path)
    elif not path.is_file():
        raise StudyError(
            compose("a file, folder, zip or DICOMDIR", "nothing there", where=_shown(str(path)))
        )
    elif zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="calcilens-") as folder:
            yield _unpack(path, Path(folder))
    elif path.suffix.lower() == ".zip":
        raise StudyError(
            compose("a zip archive", "one that is damaged or cut short", where=_shown(str(path)))
        )
    elif path.name.upper().startswith("DICOMDIR"):
        yield _follow_dicomdir(path)
    else:
        yield Found([(_shown(path.name), path)])


def is_dicom(head: bytes) -> bool:
    """Tell whether the first bytes of a file (144 or more) look like DICOM.

    A file without preamble starts with a data element of group 0002 or 0008.
    """
    if head[128:132] == b"DICM":
        return head[132:134] != b"\0\0"  # zeros would be read as commands, one every 8 bytes
    group, element = head[:2], head[2:4]
    if group in (b"\x02\x00", b"\x08\x00"):
        return len(head) > 8 and element[1] < 0x30
    return group == b"\x00\x08" and len(head) > 8 and element[0] < 0x30


def claims_dicom(name: str) -> bool:
    """Tell whether a file's name says that it is DICOM."""
    return PurePosixPath(name).suffix.lower() in _DICOM_SUFFIXES


def _walk(root: Path) -> Found:
    """List a folder and all below it in a fixed order; a link to a folder above is not followed."""
    found = Found()
    seen: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        name = _shown(Path(error.filename or "").name)
        found.skipped.append(Skipped(name, f"the folder cannot be opened: {error.strerror}"))

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refused):
        here = Path(folder).stat()
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders.sort()
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file() and not name.startswith("._"):  # ._*: macOS resource forks
                found.files.append((_shown(file.relative_to(root).as_posix()), file))
    return found


def _unpack(archive: Path, folder: Path) -> Found:
    """Copy what looks like DICOM out of an archive, under names of our own."""
    found = Found()
    room = min(MAX_UNPACKED_BYTES, shutil.disk_usage(folder).free * 9 // 10)
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = [m for m in bundle.infolist() if not m.is_dir()]
            if len(members) > MAX_MEMBERS:
                raise StudyError(compose(f"at most {MAX_MEMBERS} files", f"{len(members)}"))
            for number, member in enumerate(members):
                target = folder / f"{number:06d}"
                room -= _unpack_one(bundle, member, target, room, found)
    except zipfile.BadZipFile as error:
        raise StudyError(
            compose("a zip archive", f"{error}", where=_shown(str(archive)))
        ) from error
    return found


def _unpack_one(
    bundle: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, room: int, found: Found
) -> int:
    """Unpack one member if it looks like DICOM; return its size in bytes."""
    name = _plain_name(member.filename)
    if PurePosixPath(name).name.startswith("._"):
        return 0
    try:
        with bundle.open(member) as stream:
            head = stream.read(_HEAD)
            if not is_dicom(head) and not claims_dicom(name):
                return 0
            size = len(head)
            with target.open("wb") as out:
                out.write(head)
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    if size > room:
                        raise StudyError(
                            compose(
                                f"an archive that unpacks to at most {MAX_UNPACKED_BYTES} bytes "
                                "and to the room on this disk",
                                "more",
                                fix="unpack it yourself and give the folder",
                            )
                        )
                    out.write(chunk)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        reason = "needs a password" if member.flag_bits & 1 else f"damaged in the archive: {error}"
        found.skipped.append(Skipped(name, " ".join(reason.split())))
        return 0
    found.files.append((name, target))
    return size


def _plain_name(name: str) -> str:
    """Return a member's name without what could lead out of the archive."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return _shown("/".join(p for p in parts if p not in ("/", "..", ".") and not p.endswith(":")))


def _shown(name: str) -> str:
    """Return a file name that any output can hold: one line, and text rather than raw bytes."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _follow_dicomdir(path: Path) -> Found:
    """List the files that a DICOMDIR refers to; where it cannot be used, its whole folder."""
    try:
        with quiet():
            records = dcmread(path, specific_tags=["DirectoryRecordSequence"])
            names = [n for r in records.DirectoryRecordSequence if (n := _reference(r))]
    except Exception as error:  # pydicom raises anything on broken files
        names, why = [], f"unreadable ({type(error).__name__})"
    else:
        why = "refers to no file"
    if not names:
        found = _walk(path.parent)
        found.skipped.append(Skipped(path.name, f"{why}: its folder was read instead"))
        return found
    return _resolve(path.parent, names)


def _reference(record: Dataset) -> str | None:
    """Return the file that a directory record names, or None."""
    parts = record.get("ReferencedFileID")
    if not parts:
        return None
    return parts if isinstance(parts, str) else "/".join(parts)


def _resolve(root: Path, names: list[str]) -> Found:
    """Find referenced files below `root`; a disc copied elsewhere may have changed case."""
    present = {name.lower(): (name, file) for name, file in _walk(root).files}
    found = Found()
    for name in sorted(set(names)):
        plain = _plain_name(name)
        hit = present.get(plain.lower())
        if hit is None:
            reason = "the DICOMDIR refers to this file, but it is not there"
            found.skipped.append(Skipped(plain, reason))
        else:
            found.files.append(hit)
    return found
