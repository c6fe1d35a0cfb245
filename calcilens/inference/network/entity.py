"""pynetdicom as we use it: silent, with limits, and passing the bytes of objects as they are."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY
from typing import Any, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEGLSLossless, JPEGLSNearLossless, UncompressedTransferSyntaxes
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AssociationSocket

from calcilens.errors import ArchiveError, NotOffered, Unreachable
from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Node
from calcilens.inference.network.credentials import DISTRUSTED

VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
AVAILABILITY = UID("1.2.840.10008.5.1.4.33")
"""Services (PS3.6 A): C-ECHO; query and retrieve by study root; instance availability."""
SYNTAXES = (
    *UncompressedTransferSyntaxes,
    *map(UID, (
        "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70", JPEGLSLossless, JPEGLSNearLossless,
        "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5",
    )),
)  # fmt: skip
"""Transfer syntaxes of images that we read."""
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Of Linux alone."""
_TRANSIENT, _BY_USER, _CALLING_UNKNOWN, _CALLED_UNKNOWN = 2, 1, 3, 7
"""Result of a rejection that may pass; its source and reasons (PS3.8 9.3.4)."""


def _shut(self: AssociationSocket) -> None:
    """End a connection, and give the socket back also where there was none to end.

    Why a connection fails pynetdicom tells its log alone: it is kept for `associate`.
    """
    trouble = sys.exc_info()[1]
    if isinstance(trouble, OSError):
        vars(self.assoc)["trouble"] = trouble
    if self.socket is not None:
        with suppress(OSError):
            self.socket.shutdown(SHUT_RDWR)
        self.socket.close()


# pynetdicom 3.0 leaves the socket of a failed connection open
AssociationSocket._shutdown_socket = _shut  # type: ignore[method-assign]


def undelayed(event: Event) -> None:
    """Have a new connection send, and acknowledge what comes, at once.

    Else each object waits twice, 40 ms each, for an acknowledgement that the other side puts off
    (RFC 896 with RFC 1122 4.2.3.2): what ends it is sent only after that.
    """
    connection: Any = event.assoc.dul.socket
    connection.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    read: Callable[[int], bytearray] = connection.recv

    def acknowledging(size: int) -> bytearray:
        if _QUICKACK is not None:  # does not last: said anew each time
            connection.socket.setsockopt(IPPROTO_TCP, _QUICKACK, 1)
        return read(size)

    vars(connection)["recv"] = acknowledging


def application_entity(title: str, timeout_s: float) -> AE:
    """Return an application entity that waits at most `timeout_s` for anything.

    Logs of pynetdicom show what is in objects and queries, so they are turned off.
    """
    logging.getLogger("pynetdicom").propagate = False
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True  # from the file to the network as it is
    entity = AE(title)
    entity.acse_timeout = entity.dimse_timeout = timeout_s
    entity.network_timeout = entity.connection_timeout = timeout_s
    return entity


def associate(
    address: DimseAddress,
    node: Node,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[EventHandlerType] = (),
) -> Association:
    """Open an association.

    Raises:
        ArchiveError: The archive refuses it.
        NotOffered: It knows none of the services.
        Unreachable: There is no answer, or it has no time for us now.
    """
    tls = (node.tls.client(), address.host) if address.tls else None
    try:
        found = application_entity(node.title, node.patience.timeout_s).associate(
            address.host,
            address.port,
            contexts=list(contexts),
            ae_title=address.title,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, undelayed), *handlers],
        )
    except OSError as error:  # a name that nobody knows
        raise Unreachable(f"{address}: {error.strerror or 'it cannot be found'}") from error
    if found.is_established:
        _leave_answers(found)
        return found
    if found.rejected_contexts:
        raise NotOffered(f"{address}: the archive offers none of the services that are needed")
    raise _why_not(found, address, node)


def _why_not(found: Association, address: DimseAddress, node: Node) -> ArchiveError:
    """Return why an association did not come about."""
    trouble = vars(found).get("trouble")
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return ArchiveError(f"{address}: {DISTRUSTED}: {trouble.verify_message}")
    said = found.acceptor.primitive
    if not found.is_rejected or said is None:
        reason = getattr(trouble, "strerror", None)
        more = f": {reason}" if reason else ", or broke off"
        return Unreachable(f"{address}: the archive cannot be reached{more}")
    why = f"{address}: the archive rejects the association: {said.reason_str}"
    if said.result == _TRANSIENT:
        return Unreachable(why)
    advice: dict[tuple[int | None, int | None], str] = {
        (_BY_USER, _CALLING_UNKNOWN): f"; it must know AE title {node.title!r}",
        (_BY_USER, _CALLED_UNKNOWN): f"; it is not called {address.title!r}: ask for its AE title",
    }
    return ArchiveError(why + advice.get((said.result_source, said.diagnostic), ""))


def _leave_answers(association: Association) -> None:
    """Keep pynetdicom's reactor from taking the answer that a request waits for.

    It should pause meanwhile, but `_is_paused` is still true when it has been woken and not yet
    gone on (pynetdicom 3.0): the answer of a fast archive is then lost.
    """
    take = association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        return take(block) if block else (None, None)

    vars(association.dimse)["get_msg"] = get_msg


@contextmanager
def closing(association: Association) -> Iterator[Association]:
    """Give an association that is released at the end, or aborted after an error."""
    try:
        yield association
        association.release()
    finally:
        if association.is_established:
            association.abort()


def contexts_of(pairs: Sequence[tuple[str, str]]) -> list[PresentationContext]:
    """Return one context for each SOP class and transfer syntax.

    One for all syntaxes of a class would let the other side choose a single one for all objects.
    """
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs]


def status_of(answer: Dataset | None, where: DimseAddress | str) -> int:
    """Return the status of a DIMSE answer; `where` is said before what is wrong with it.

    Raises:
        Unreachable: There was none.
    """
    if answer is None or "Status" not in answer:
        raise Unreachable(f"{where}: the archive broke off, or does not answer in time")
    return cast(int, answer.Status)
