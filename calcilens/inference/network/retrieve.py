"""C-GET, and C-MOVE to a port of our own: objects of an archive, as the bytes that it sends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    SegmentationStorage,
)
from pynetdicom import AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import build_context, build_role

from calcilens.errors import ArchiveError, Unreachable
from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Node, Store
from calcilens.inference.network.entity import (
    GET,
    MOVE,
    SYNTAXES,
    application_entity,
    associate,
    closing,
    contexts_of,
    status_of,
    undelayed,
)
from calcilens.inference.network.objects import Instance

_AT_ONCE = 64
"""Objects of one request."""
_CLASSES = 9
"""SOP classes of one association: each has a context for every transfer syntax."""
_USUAL = (
    CTImageStorage,
    EnhancedCTImageStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SegmentationStorage,
)
"""Asked for where the archive does not say what an object is."""
_PENDING, _PARTLY, _UNKNOWN_TITLE = 0xFF00, 0xB000, 0xA801
_STORED, _NO_ROOM, _NOT_ASKED_FOR = 0x0000, 0xA700, 0xA900


def retrieve(address: DimseAddress, node: Node, wanted: Sequence[Instance], store: Store) -> None:
    """Fetch objects.

    What the archive fails to send is no error here: the caller sees what is missing.

    Raises:
        ArchiveError: The archive refuses.
        Unreachable: It broke off.
    """
    inbox = _Inbox(wanted, store)
    if node.move is None:
        for part in _by_class(wanted):
            _get(address, node, part, inbox)
    else:
        _move(address, node, wanted, inbox)


class _Inbox:
    """Takes the objects that were asked for, and remembers what went wrong with storing one."""

    def __init__(self, wanted: Sequence[Instance], store: Store) -> None:
        self._wanted = {w.sop_uid: w for w in wanted}
        self._store = store
        self.trouble: Exception | None = None

    def take(self, event: Event) -> int:
        """Handle a C-STORE request."""
        one = self._wanted.get(str(event.request.AffectedSOPInstanceUID))  # type: ignore[union-attr]
        if one is None:
            return _NOT_ASKED_FOR
        try:
            self._store(one, [event.encoded_dataset()])
        except Exception as error:
            self.trouble = error
            return _NO_ROOM
        return _STORED


def _get(address: DimseAddress, node: Node, wanted: Sequence[Instance], inbox: _Inbox) -> None:
    classes = sorted({w.sop_class_uid for w in wanted} - {""}) or [str(c) for c in _USUAL]
    contexts = contexts_of([(c, s) for c in classes for s in SYNTAXES])
    association = associate(
        address,
        node,
        [build_context(GET), *contexts],
        roles=[build_role(c, scp_role=True) for c in classes],
        handlers=[(evt.EVT_C_STORE, inbox.take)],
    )
    with closing(association):
        if not any(c.abstract_syntax == GET for c in association.accepted_contexts):
            raise ArchiveError(f"{address}: the archive offers no C-GET; use C-MOVE (--move-port)")
        for query in _queries(wanted):
            _follow(association, association.send_c_get(query, GET), address, inbox)


def _move(address: DimseAddress, node: Node, wanted: Sequence[Instance], inbox: _Inbox) -> None:
    entity = application_entity(node.title, node.patience.timeout_s)
    contexts = [
        build_context(c.abstract_syntax or "", list(SYNTAXES))
        for c in AllStoragePresentationContexts
    ]
    try:
        server = entity.start_server(
            node.move or ("", 0),
            block=False,
            contexts=contexts,
            evt_handlers=[(evt.EVT_CONN_OPEN, undelayed), (evt.EVT_C_STORE, inbox.take)],
        )
    except OSError as error:
        raise ArchiveError(f"--move-port: {node.move}: {error.strerror}") from error
    host, port = node.move or ("", 0)
    hint = f"; its list of modalities must have {node.title!r} at {host}, port {port}"
    try:
        association = associate(address, node, [build_context(MOVE)])
        with closing(association):
            for query in _queries(wanted):
                answers = association.send_c_move(query, node.title, MOVE)
                _follow(association, answers, address, inbox, hint)
    finally:
        if server is not None:
            server.shutdown()


def _follow(
    association: Association,
    answers: Iterator[tuple[Dataset, Dataset | None]],
    address: DimseAddress,
    inbox: _Inbox,
    hint: str = "",
) -> None:
    for answer, _ in answers:
        status = status_of(answer, address)
        if inbox.trouble is not None:
            association.abort()
            raise inbox.trouble
        if status == _UNKNOWN_TITLE:
            raise ArchiveError(
                f"{address}: the archive does not know where to send to: its operator "
                "must enter our AE title, address and port"
            )
        if 0xA700 <= status < 0xA800:
            raise Unreachable(f"{address}: the archive has no time for us (0x{status:04X})")
        if status not in (_PENDING, _PARTLY, 0):
            raise ArchiveError(f"{address}: the archive refuses to send (0x{status:04X}){hint}")


def _queries(wanted: Sequence[Instance]) -> Iterator[Dataset]:
    """Yield requests for some objects of one series each: what is there is not sent again."""
    for (study, series), group in groupby(sorted(wanted), lambda w: (w.study_uid, w.series_uid)):
        uids = [w.sop_uid for w in group]
        for start in range(0, len(uids), _AT_ONCE):
            query = Dataset()
            query.QueryRetrieveLevel = "IMAGE"
            query.StudyInstanceUID, query.SeriesInstanceUID = study, series
            query.SOPInstanceUID = uids[start : start + _AT_ONCE]
            yield query


def _by_class(wanted: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Yield objects of so few classes that one association can hold them."""
    unnamed = [w for w in wanted if not w.sop_class_uid]
    if unnamed:  # alone: the usual classes fill an association
        yield unnamed
    classes = sorted({w.sop_class_uid for w in wanted} - {""})
    for start in range(0, len(classes), _CLASSES):
        some = set(classes[start : start + _CLASSES])
        yield [w for w in wanted if w.sop_class_uid in some]
