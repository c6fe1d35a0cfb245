"""Fetch studies from an archive: each object whole, checked, and only once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from calcilens.errors import ArchiveError, InputError, Unreachable, compose
from calcilens.files import whole
from calcilens.inference.network.archive import Archive
from calcilens.inference.network.objects import Instance, is_uid, read_object
from calcilens.inference.network.retries import Patience, first_goes_last, persist


@dataclass(frozen=True)
class Pulled:
    """What became of a study.

    Args:
        folder: Its files, one an object.
        objects: That the archive holds.
        fetched: That came now.
        kept: That were there before.
    """

    study_uid: str
    folder: str
    objects: int
    fetched: int
    kept: int


class Pull:
    """Fetches studies into folders of their own.

    Args:
        archive: Where from.
        out: Folder with one folder a study.
        patience: With the archive.
        tell: Gets one line for every trouble that was overcome.
        progress: Gets how many objects of a study are there, of how many.
    """

    def __init__(
        self,
        archive: Archive,
        out: Path,
        patience: Patience,
        *,
        tell: Callable[[str], None],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._archive, self._out, self._patience = archive, out, patience
        self._tell, self._progress = tell, progress

    def look(self, study_uid: str) -> list[Instance]:
        """Return what the archive holds of a study.

        Raises:
            ArchiveError: It holds none of it.
        """
        if not is_uid(study_uid):  # an archive that was asked for studies may answer anything
            raise ArchiveError("the archive names a study by what is no UID")
        found: list[Instance] = []

        def ask() -> None:
            found[:] = self._archive.instances(study_uid)

        persist(ask, lambda: 0, self._patience, self._tell)
        if not found:
            raise ArchiveError(f"study {study_uid}: the archive holds none of it")
        if not all(is_uid(i.sop_uid) and is_uid(i.series_uid) for i in found):
            raise ArchiveError(f"study {study_uid}: the archive names objects by what is no UID")
        return found

    def fetch(self, study_uid: str) -> Pulled:
        """Fetch what is not there yet.

        Raises:
            ArchiveError: Some of it cannot be had; what came stays, for another run.
        """
        wanted = self.look(study_uid)
        folder = self._out / study_uid
        folder.mkdir(parents=True, exist_ok=True)
        left = {w.sop_uid: w for w in wanted if not _is_there(folder, w)}
        total = len({w.sop_uid for w in wanted})
        kept = total - len(left)

        def store(one: Instance, chunks: Iterable[bytes]) -> None:
            _store(folder, one, chunks)
            left.pop(one.sop_uid, None)
            self._progress(total - len(left), total)

        def step() -> None:
            with first_goes_last(left):
                if left:
                    self._archive.fetch(list(left.values()), store)
                if left:
                    raise Unreachable(
                        f"study {study_uid}: {len(left)} of {total} objects did not come"
                    )

        self._progress(kept, total)
        persist(step, lambda: total - len(left), self._patience, self._tell)
        return Pulled(study_uid, str(folder), total, total - kept, kept)


def _path(folder: Path, one: Instance) -> Path:
    return folder / f"{one.sop_uid}.dcm"


def _is_there(folder: Path, one: Instance) -> bool:
    try:
        return read_object(_path(folder, one)).instance.sop_uid == one.sop_uid
    except InputError:
        return False


def _store(folder: Path, one: Instance, chunks: Iterable[bytes]) -> None:
    """Write an object whole, or not at all where it is not the one that was asked for."""
    with whole(_path(folder, one)) as part:
        with part.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        try:
            found = read_object(part).instance
        except InputError:
            raise Unreachable(f"object {one.sop_uid}: what came is damaged") from None
        if found[:3] != one[:3]:
            raise ArchiveError(compose("the object asked for", "another", where=one.sop_uid))
