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
    """Which studies to look for.

    Args:
        date: YYYYMMDD, or two with a dash between; empty for any.
        modality: One that occurs in the study; empty for any.
    """

    date: str = ""
    modality: str = ""


class Archive(Protocol):
    """An archive; every method may raise ArchiveError, or Unreachable where a retry may help."""

    def studies(self, filters: Filters) -> list[str]:
        """Return the UIDs of the studies that fit."""

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
