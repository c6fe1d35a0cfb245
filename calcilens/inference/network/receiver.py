"""A C-STORE receiver with limits: what it confirms lies whole on the disk, and in the queue."""

from __future__ import annotations

import sqlite3
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import TCPServer
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.transport import ThreadedAssociationServer

from calcilens.errors import InputError, UsageError, compose
from calcilens.inference.network.entity import (
    AVAILABILITY,
    VERIFICATION,
    application_entity,
    undelayed,
)
from calcilens.inference.network.objects import ObjectFile, is_uid, read_object
from calcilens.inference.network.queue import Queue
from calcilens.inference.network.spool import Spool

SUCCESS, OUT_OF_RESOURCES, NOT_THE_OBJECT, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
INVALID_ATTRIBUTE = 0x0106
_LARGEST_REQUEST = 1 << 18
"""Bytes of the largest PDU that opens an association: 128 contexts with all their syntaxes."""
_LOOK_EVERY = 1 << 24
"""Bytes between two looks at the disk while an object comes in."""


@dataclass(frozen=True)
class Limits:
    """How much a sender may ask for.

    Args:
        pdu_bytes: Longest PDU.
        associations: At once.
        reserve_bytes: Room that stays free on the disk.
        idle_s: Silence that ends an association, also in the middle of a PDU.
    """

    pdu_bytes: int = 1 << 16
    associations: int = 10
    reserve_bytes: int = 2 << 30
    idle_s: float = 60.0


@dataclass(frozen=True)
class Place:
    """Where to listen, and to whom.

    Args:
        allowed: AE titles of senders; empty for any.
        tls: What encrypts; None for plain connections.
    """

    title: str
    host: str
    port: int
    allowed: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None


class Receiver:
    """Takes objects into the spool.

    Args:
        spool: Where to.
        queue: Studies on their way.
        limits: What is refused.
        tell: Gets one line an event; without patient data.
    """

    def __init__(
        self, spool: Spool, queue: Queue, limits: Limits, tell: Callable[[str], None]
    ) -> None:
        self._spool, self._queue, self._limits, self._tell = spool, queue, limits, tell
        self.lock = threading.Lock()
        """Held while an object is put into a study, and while studies are removed."""

    @contextmanager
    def serving(self, place: Place) -> Iterator[None]:
        """Listen until the end of the block.

        Raises:
            UsageError: The address cannot be used.
        """
        entity = application_entity(place.title, self._limits.idle_s)
        entity.maximum_pdu_size = self._limits.pdu_bytes
        entity.maximum_associations = self._limits.associations
        entity.require_called_aet = True
        entity.require_calling_aet = list(place.allowed)
        with _to_disk(self._spool):
            server = self._server(entity, place)
            thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                for association in server.active_associations:
                    association.abort()
                thread.join()

    def _server(self, entity: AE, place: Place) -> _Server:
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_N_CREATE, self._announced),
        ]
        try:
            return _Server(
                entity,
                (place.host, place.port),
                place.title,
                _contexts(),
                ssl_context=place.tls,
                evt_handlers=handlers,
            )
        except OSError as error:
            where = f"--bind {place.host} --port {place.port}"
            found = error.strerror or "none"
            raise UsageError(compose("an address to listen on", found, where=where)) from error

    def _opened(self, event: Event) -> None:
        """Let the socket of an association refuse what is too long, or does not fit the disk."""
        undelayed(event)
        socket: Any = event.assoc.dul.socket
        vars(socket)["recv"] = _Measured(socket.recv, self._limits, self._room)

    def _room(self, size: int) -> bool:
        return self._spool.free_bytes() - size >= self._limits.reserve_bytes

    def _rejected(self, event: Event) -> None:
        """Say whom we turned away, and why: what the sender is told."""
        asked: Any = event.assoc.requestor.primitive
        calling, called = _shown(asked.calling_ae_title), _shown(asked.called_ae_title)
        reason = {
            (1, 3): f"{calling} is not one of --allow",
            (1, 7): f"it calls {called}, and we are {_shown(event.assoc.acceptor.ae_title)}",
            (3, 2): f"more than {self._limits.associations} at once",
        }
        said: Any = event.assoc.acceptor.primitive
        why = reason.get((said.result_source, said.diagnostic), "it cannot be understood")
        self._tell(f"association of {calling} rejected: {why}")

    def _stored(self, event: Event) -> int:
        """Handle a C-STORE request."""
        try:
            file = read_object(event.dataset_path)
        except InputError:
            self._tell("an object refused: it is damaged, or its UIDs are not valid")
            return NOT_UNDERSTOOD
        one = file.instance
        if one.sop_uid != str(event.request.AffectedSOPInstanceUID):  # type: ignore[union-attr]
            self._tell(f"object {one.sop_uid} refused: it was announced by another UID")
            return NOT_THE_OBJECT
        if self._queue.is_result(one.sop_uid):
            return SUCCESS  # one of ours, sent back by the archive's routes
        return self._keep(file)

    def _keep(self, file: ObjectFile) -> int:
        one = file.instance
        if not self._room(0):
            self._tell(f"object {one.sop_uid} refused: the disk is full up to the reserve")
            return OUT_OF_RESOURCES
        try:
            with self.lock:
                new = self._spool.put(file)
                row = self._queue.study(one.study_uid)
                if new or row is None or row.state in ("receiving", "failed"):
                    count = len(self._spool.objects(one.study_uid))
                    self._queue.arrived(one.study_uid, count)
        except (OSError, sqlite3.Error) as error:
            self._tell(f"object {one.sop_uid} refused: {getattr(error, 'strerror', error)}")
            return OUT_OF_RESOURCES
        if new and (row is None or row.state != "receiving"):
            again = "" if row is None else ", again"
            self._tell(f"study {one.study_uid}: the first object has come{again}")
        elif not new and self._spool.differs(file):
            self._tell(f"object {one.sop_uid} came twice with different content; the first is kept")
        return SUCCESS

    def _announced(self, event: Event) -> tuple[int, Dataset | None]:
        """Handle an Instance Availability Notification (PS3.4 R): what a study will have."""
        try:
            said = event.attribute_list
            study = str(said.StudyInstanceUID)
            uids = [
                str(item.ReferencedSOPInstanceUID)
                for series in said.ReferencedSeriesSequence
                for item in series.ReferencedSOPSequence
            ]
        except (AttributeError, ValueError):
            return INVALID_ATTRIBUTE, None
        if not all(is_uid(uid) for uid in (study, *uids)):
            return INVALID_ATTRIBUTE, None
        self._queue.announce(study, uids)
        self._tell(f"study {study}: {len(uids)} objects announced")
        return SUCCESS, Dataset()


def _shown(title: str) -> str:
    return "".join(c for c in title if c.isalnum() or c in "-_")


class _Measured:
    """Reads from a socket no more than is allowed.

    pynetdicom tells the other side how long a PDU may be, and then takes any length.
    """

    def __init__(
        self, read: Callable[[int], bytearray], limits: Limits, room: Callable[[int], bool]
    ) -> None:
        self._read, self._room = read, room
        self._longest = max(limits.pdu_bytes, _LARGEST_REQUEST)
        self._since = 0

    def __call__(self, size: int) -> bytearray:
        if size > self._longest:
            raise OSError(f"a PDU of {size} bytes; at most {self._longest} are allowed")
        self._since += size
        if self._since > _LOOK_EVERY:
            self._since = 0
            if not self._room(size):
                raise OSError("no room for an object of this size")
        return self._read(size)


@contextmanager
def _to_disk(spool: Spool) -> Iterator[None]:
    """Have pynetdicom write what comes in to the spool, and not hold it in memory."""
    before = tempfile.tempdir
    tempfile.tempdir, _config.STORE_RECV_CHUNKED_DATASET = str(spool.incoming), True
    try:
        yield
    finally:
        tempfile.tempdir, _config.STORE_RECV_CHUNKED_DATASET = before, False


def _contexts() -> list[Any]:
    storage = [c.abstract_syntax or "" for c in AllStoragePresentationContexts]
    return [
        build_context(VERIFICATION),
        build_context(AVAILABILITY),
        *(build_context(uid, ALL_TRANSFER_SYNTAXES) for uid in storage),
    ]


class _Server(ThreadedAssociationServer):
    """Never waits for one sender alone: neither for its handshake nor for half a PDU."""

    request_queue_size = 64
    daemon_threads = True

    def get_request(self) -> Any:
        listening: Any = self.socket
        client, address = listening.accept()
        client.settimeout(self.ae.network_timeout)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(
                client, server_side=True, do_handshake_on_connect=False
            )
        return client, address

    def shutdown(self) -> None:
        TCPServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over what a broken connection did: it concerns nobody else."""
