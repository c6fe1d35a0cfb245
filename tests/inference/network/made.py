"""Small studies, and archives on loopback that misbehave as they are told to."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, SegmentationStorage
from pynetdicom import AE, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.events import Event

from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Node
from calcilens.inference.network.credentials import Tls
from calcilens.inference.network.entity import FIND, GET, SYNTAXES
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.retries import Patience
from tests import dicom_factory as factory
from tests.inference.test_roi import complete

HASTY = Patience(attempts=3, first_s=0.01, longest_s=0.02, timeout_s=5)
NODE = Node(patience=HASTY)
SECRETS = ("Secret^Name", "SECRET-ID")
"""Patient's name and number in all made studies."""


def ct_study(folder: Path, number: int = 1, planes: int = 6) -> list[ObjectFile]:
    """Write a CT of a block of tissue with one calcified ball; return its files."""
    z, y, x = np.indices((planes, 96, 96))
    stored = np.full(z.shape, 24, np.uint16)
    stored[:, 8:-8, 8:-8] = 1064
    middle = planes // 2
    ball = ((z - middle) * 2.0) ** 2 + ((y - 40) * 0.5) ** 2 + ((x - 50 - number) * 0.75) ** 2
    stored[ball < 16] = 1524
    root = f"{factory.ROOT}.7.{number}"
    uids: dict[str, Any] = {
        "StudyInstanceUID": root,
        "SeriesInstanceUID": f"{root}.1",
        "FrameOfReferenceUID": f"{root}.2",
    }
    for plane, ds in enumerate(factory.ct_slices(stored, **uids)):
        uid = f"{root}.1.{plane + 1}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        factory.save(complete(ds), folder / f"{plane}.dcm")
    return find_objects([folder])[0]


def content(path: Path) -> bytes:
    """Return the data set of a file without its file meta, which every program writes anew."""
    return path.read_bytes()[split_dataset(path)[1] :]


@dataclass
class FakeArchive:
    """A DIMSE archive; `behave(n)` says what becomes of the n-th object that is sent or asked for.

    It returns a status; None breaks the connection.
    """

    behave: Callable[[int], int | None] = lambda n: 0
    files: list[ObjectFile] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    tried: int = 0
    associations: int = 0
    finds: bool = True
    syntaxes: Sequence[str] = SYNTAXES
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None, **limits: Any) -> Iterator[DimseAddress]:
        entity = AE("FAKE")
        for name, value in limits.items():
            setattr(entity, name, value)
        for model in (FIND, GET) if self.finds else ():
            entity.add_supported_context(model)
        for kind in (CTImageStorage, SegmentationStorage):
            entity.add_supported_context(kind, list(self.syntaxes), scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_ESTABLISHED, self._count),
        ]
        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls
        )
        assert server is not None
        try:
            port = server.server_address[1]
            yield DimseAddress("FAKE", "127.0.0.1", port, False)
        finally:
            server.shutdown()

    def _count(self, event: Event) -> None:
        self.associations += 1

    def _next(self, event: Event) -> int | None:
        with self.lock:
            self.tried += 1
            status = self.behave(self.tried)
        if status is None:
            event.assoc.abort()
        return status

    def _store(self, event: Event) -> int:
        status = self._next(event)
        if status == 0:
            request: Any = event.request
            self.taken.append(str(request.AffectedSOPInstanceUID))
        return 0xA700 if status is None else status

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        level = event.identifier.QueryRetrieveLevel
        held = {
            f.instance
            for f in self.files
            if f.instance.study_uid == event.identifier.StudyInstanceUID
        }
        for key in sorted({i.series_uid if level == "SERIES" else i.sop_uid for i in held}):
            row = Dataset()
            row.QueryRetrieveLevel = level
            if level == "SERIES":
                row.SeriesInstanceUID = key
            else:
                row.SOPInstanceUID, row.SOPClassUID = key, CTImageStorage
            yield 0xFF00, row

    def _get(self, event: Event) -> Iterator[Any]:
        asked = event.identifier.SOPInstanceUID
        wanted = {asked} if isinstance(asked, str) else set(asked)
        files = [f for f in self.files if f.instance.sop_uid in wanted]
        yield len(files)
        for file in files:
            status = self._next(event)
            if status is None:
                return
            if status == 0:
                self.taken.append(file.instance.sop_uid)
                yield 0xFF00, dcmread(file.path)


@dataclass
class Choosy(FakeArchive):
    """Never has time for one object, and breaks off over it where `status` is None."""

    uid: str = ""
    status: int | None = 0x0110

    def _store(self, event: Event) -> int:
        request: Any = event.request
        if str(request.AffectedSOPInstanceUID) != self.uid:
            return super()._store(event)
        if self.status is None:
            event.assoc.abort()
        return self.status or 0xA700


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def certificates(folder: Path) -> Callable[[str], Tls]:
    """Make an issuer and a certificate of it for each name."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=issuer")  # fmt: skip

    def issue(name: str) -> Tls:
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2",
                "-out", f"{name}.pem", "-extfile", "names")  # fmt: skip
        return Tls(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")

    return issue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
