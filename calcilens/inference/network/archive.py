"""What every archive can do, by whichever protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from calcilens.inference.network.address import Address, DimseAddress
from calcilens.inference.network.credentials import Tls
from calcilens.inference.network.objects import Instance, ObjectFile
from calcilens.inference.network.retries import Patience

Store = Callable[[Instance, Iterable[bytes]], None]
"""Takes the bytes of a whole DICOM file; what it raises ends the transfer."""


class Refused(NamedTuple):
    """An object that the archive does not take, and why."""

    file: ObjectFile
    why: str


class Filters(NamedTuple):
    """Which studies to look for; what is empty is any.

    Args:
        date: YYYYMMDD, or two with a dash between.
        modality: One that occurs in the study.
        patient_id: Never shown.
        accession: Number of the order; never shown.
        study_uid: Of one study.
    """

    date: str = ""
    modality: str = ""
    patient_id: str = ""
    accession: str = ""
    study_uid: str = ""

    def keys(self) -> dict[str, str]:
        """Return them by the keywords of PS3.6."""
        return {
            "StudyInstanceUID": self.study_uid,
            "StudyDate": self.date,
            "ModalitiesInStudy": self.modality,
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession,
        }

    def fit(self, modalities: Sequence[str], patient_id: str, accession: str) -> bool:
        """Say whether an answer fits: archives need not match by all keys, and then give all.

        What an answer does not name is taken as it is.
        """
        pairs = ((self.patient_id, patient_id), (self.accession, accession))
        other = any(a and f and a.casefold() != f.casefold() for a, f in pairs)
        return not other and (not self.modality or not modalities or self.modality in modalities)


class Listed(NamedTuple):
    """A study as an archive lists it, without patient data.

    Args:
        date: YYYYMMDD; empty where the archive does not say.
        modalities: Of its series, as far as the archive says.
    """

    uid: str
    date: str = ""
    modalities: tuple[str, ...] = ()


class Archive(Protocol):
    """An archive; every method may raise ArchiveError, or Unreachable where a retry may help."""

    def studies(self, filters: Filters) -> list[Listed]:
        """Return the studies that fit."""

    def instances(self, study_uid: str) -> list[Instance]:
        """Return what the archive holds of a study."""

    def fetch(self, wanted: Sequence[Instance], store: Store) -> None:
        """Fetch objects; those that came before an error have been stored."""

    def send(
        self, files: Sequence[ObjectFile], taken: Callable[[ObjectFile], None]
    ) -> list[Refused]:
        """Send objects, `taken` being called after each that the archive took."""


@dataclass(frozen=True)
class Node:
    """This end of the connection.

    Args:
        title: Our AE title.
        move: Address and port at which the archive reaches us for C-MOVE; None for C-GET.
    """

    title: str = "CALCILENS"
    tls: Tls = field(default_factory=Tls)
    patience: Patience = field(default_factory=Patience)
    move: tuple[str, int] | None = None


def open_archive(address: Address, node: Node) -> AbstractContextManager[Archive]:
    """Return the archive at an address; nothing is sent before it is asked for something."""
    if isinstance(address, DimseAddress):
        from calcilens.inference.network.dimse import DimseArchive

        return DimseArchive(address, node)
    from calcilens.inference.network.dicomweb import WebArchive

    return WebArchive(address, node)
