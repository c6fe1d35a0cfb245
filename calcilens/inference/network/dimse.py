"""An archive behind DIMSE: C-FIND, C-GET or C-MOVE, C-STORE (PS3.4, PS3.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from calcilens.errors import ArchiveError, Unreachable
from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Filters, Listed, Node, Refused, Store
from calcilens.inference.network.entity import (
    FIND,
    associate,
    closing,
    contexts_of,
    status_of,
)
from calcilens.inference.network.fragments import has_odd_fragments, padded
from calcilens.inference.network.objects import Instance, ObjectFile, is_uid
from calcilens.inference.network.retrieve import retrieve

_PENDING = (0xFF00, 0xFF01)
_TAKEN = (0x0000, 0x0111, 0xB000, 0xB006, 0xB007)
"""Success; already there; stored with a warning (PS3.4 B.2.3, PS3.7 C)."""
_BUSY = (0x0110, *range(0xA700, 0xA800))
"""Processing failure; out of resources."""
_PAIRS = 60
"""Contexts of one association, of 128 at most; each may need a second one for Implicit VR."""


class DimseArchive:
    """An archive behind DIMSE."""

    def __init__(self, address: DimseAddress, node: Node) -> None:
        self._address, self._node = address, node

    def __enter__(self) -> DimseArchive:
        return self

    def __exit__(self, *_: object) -> None:
        """Every association ends with the work that it was opened for."""

    def studies(self, filters: Filters) -> list[Listed]:
        """Return the studies that fit."""
        with self._open([build_context(FIND)]) as association:
            rows = self._find(association, "STUDY", filters.keys())
        return [
            Listed(_text(r, "StudyInstanceUID"), _text(r, "StudyDate"), _modalities(r))
            for r in rows
            if filters.fit(_modalities(r), _text(r, "PatientID"), _text(r, "AccessionNumber"))
        ]

    def instances(self, study_uid: str) -> list[Instance]:
        """Return what the archive holds of a study."""
        with self._open([build_context(FIND)]) as association:
            study = {"StudyInstanceUID": study_uid}
            series = self._find(association, "SERIES", {**study, "SeriesInstanceUID": ""})
            return [
                Instance(study_uid, uid, _text(row, "SOPInstanceUID"), _class(row))
                for uid in (_text(s, "SeriesInstanceUID") for s in series)
                for row in self._find(
                    association,
                    "IMAGE",
                    {**study, "SeriesInstanceUID": uid, "SOPInstanceUID": "", "SOPClassUID": ""},
                )
            ]

    def fetch(self, wanted: Sequence[Instance], store: Store) -> None:
        """Fetch objects by C-GET; by C-MOVE where this node has a port for it."""
        retrieve(self._address, self._node, wanted, store)

    def send(
        self, files: Sequence[ObjectFile], taken: Callable[[ObjectFile], None]
    ) -> list[Refused]:
        """Send objects by C-STORE."""
        refused = []
        for batch in _batches(files):
            pairs = sorted({(f.instance.sop_class_uid, f.syntax_uid) for f in batch})
            with self._open(contexts_of(_with_implicit(pairs))) as association:
                for file in batch:
                    why = self._store(association, file)
                    if why is None:
                        taken(file)
                    else:
                        refused.append(Refused(file, why))
        return refused

    def _store(self, association: Association, file: ObjectFile) -> str | None:
        """Send an object; return why it was refused, or None."""
        pair = (file.instance.sop_class_uid, file.syntax_uid)
        accepted = {
            (str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in association.accepted_contexts
        }
        implicit = (pair[0], str(ImplicitVRLittleEndian))
        if pair not in accepted and (implicit not in accepted or not _rewritable(pair[1])):
            return f"the archive takes no {UID(pair[0]).name} in {UID(pair[1]).name}"
        content = _content(file) if pair in accepted else dcmread(file.path)
        if not association.is_established:
            raise Unreachable(f"{self._address}: the archive broke off")
        uid = file.instance.sop_uid
        answer = association.send_c_store(content)
        status = status_of(answer, f"{self._address}: object {uid}")
        if status in _BUSY:
            raise Unreachable(f"{self._address}: no room or time for object {uid} (0x{status:04X})")
        return None if status in _TAKEN else f"the archive refuses it (0x{status:04X})"

    def _find(self, association: Association, level: str, keys: dict[str, str]) -> list[Dataset]:
        query = Dataset()
        query.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        if not association.is_established:
            raise Unreachable(f"{self._address}: the archive broke off")
        rows = []
        for answer, row in association.send_c_find(query, FIND):
            status = status_of(answer, self._address)
            if status not in _PENDING:
                self._done(status, "C-FIND")
            elif row is not None:
                rows.append(row)
        return rows

    def _done(self, status: int, service: str) -> None:
        if status in _BUSY:
            raise Unreachable(f"{self._address}: {service}: no time for us (0x{status:04X})")
        if status != 0:
            raise ArchiveError(f"{self._address}: {service} refused (0x{status:04X})")

    @contextmanager
    def _open(self, contexts: Sequence[PresentationContext]) -> Iterator[Association]:
        with closing(associate(self._address, self._node, contexts)) as association:
            yield association


def _text(row: Dataset, keyword: str) -> str:
    return str(row.get(keyword) or "")


def _class(row: Dataset) -> str:
    """Return the SOP class; what is no UID could not be asked for, and counts as not said."""
    text = _text(row, "SOPClassUID")
    return text if is_uid(text) else ""


def _modalities(row: Dataset) -> tuple[str, ...]:
    named = row.get("ModalitiesInStudy") or ()
    return (named,) if isinstance(named, str) else tuple(map(str, named))


def _content(file: ObjectFile) -> Path | Dataset:
    """Return what is sent: the bytes of the file, unless other ends could not read them."""
    return padded(file) if has_odd_fragments(file) else file.path


def _rewritable(syntax: str) -> bool:
    """Say whether an object can be written in Implicit VR: pixels stay as they are."""
    return UID(syntax).is_little_endian and not UID(syntax).is_compressed


def _with_implicit(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add Implicit VR, which every archive must take, to what can be written in it."""
    plain = [(c, str(ImplicitVRLittleEndian)) for c, s in pairs if _rewritable(s)]
    return list(dict.fromkeys([*pairs, *plain]))


def _batches(files: Sequence[ObjectFile]) -> Iterator[list[ObjectFile]]:
    """Yield files that fit into one association each."""
    batch: list[ObjectFile] = []
    pairs: set[tuple[str, str]] = set()
    for file in files:
        pair = (file.instance.sop_class_uid, file.syntax_uid)
        if pair not in pairs and len(pairs) == _PAIRS:
            yield batch
            batch, pairs = [], set()
        batch.append(file)
        pairs.add(pair)
    if batch:
        yield batch
