"""The receiver: what it confirms is whole and on the disk; what is too much, it refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context

from calcilens.errors import ArchiveError, Unreachable, UsageError
from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Node, open_archive
from calcilens.inference.network.credentials import Tls
from calcilens.inference.network.entity import AVAILABILITY, VERIFICATION, associate
from calcilens.inference.network.objects import ObjectFile, read_object
from calcilens.inference.network.queue import Queue
from calcilens.inference.network.receiver import Limits, Place, Receiver
from calcilens.inference.network.spool import Spool
from tests.inference.network.made import (
    HASTY,
    NODE,
    SECRETS,
    certificates,
    content,
    ct_study,
    free_port,
    until,
)

LIMITS = Limits(reserve_bytes=0, idle_s=3)


@dataclass
class Running:
    address: DimseAddress
    spool: Spool
    queue: Queue
    told: list[str] = field(default_factory=list)


@contextmanager
def receiving(
    tmp_path: Path, limits: Limits = LIMITS, allowed: tuple[str, ...] = (), tls: Tls | None = None
) -> Iterator[Running]:
    spool, port = Spool(tmp_path / "spool"), free_port()
    queue = Queue(spool.queue)
    told: list[str] = []
    place = Place("US", "127.0.0.1", port, allowed, tls.server() if tls else None)
    with Receiver(spool, queue, limits, told.append).serving(place):
        address = DimseAddress("US", "localhost" if tls else "127.0.0.1", port, tls is not None)
        yield Running(address, spool, queue, told)


def send(to: DimseAddress, files: list[ObjectFile], node: Node = NODE) -> list[str]:
    taken: list[str] = []
    with open_archive(to, node) as archive:
        refused = archive.send(files, lambda f: taken.append(f.instance.sop_uid))
    assert len(taken) + len(refused) == len(files)
    return taken


@pytest.fixture
def files(tmp_path: Path) -> list[ObjectFile]:
    return ct_study(tmp_path / "in")


def test_what_is_sent_lies_in_the_spool_bit_for_bit(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        send(us.address, files)
        folder = us.spool.studies / files[0].instance.study_uid
        for file in files:
            assert content(folder / f"{file.instance.sop_uid}.dcm") == content(file.path)
        row = us.queue.study(folder.name)
    assert row is not None
    assert (row.state, row.objects) == ("receiving", 6)
    assert list(us.spool.incoming.iterdir()) == []


def test_nothing_of_a_patient_is_told_and_only_the_owner_can_read_the_spool(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        send(us.address, files)
    assert us.told
    assert not any(secret in line for line in us.told for secret in SECRETS)
    assert us.spool.root.stat().st_mode & 0o077 == 0


def test_the_same_objects_sent_again_change_nothing(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        send(us.address, files)
        uid = files[0].instance.study_uid
        us.queue.move(uid, "receiving", "received")
        send(us.address, files)
        row = us.queue.study(uid)
    assert row is not None
    assert row.state == "received"


def test_a_new_study_is_on_disk_for_good_with_its_first_object(
    files: list[ObjectFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    synced: list[Path] = []
    monkeypatch.setattr("calcilens.inference.network.spool._sync", synced.append)
    for file in files[:2]:
        spool.put(file)
    folder = spool.studies / files[0].instance.study_uid
    # A folder that is not written to disk takes all that it holds with it (fsync(2), notes)
    assert synced == [spool.studies, files[0].path, folder, files[1].path, folder]


def test_another_object_under_a_known_uid_does_not_replace_the_first(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        send(us.address, files[:1])
        other = dcmread(files[0].path)
        other.ImageComments = "changed"
        other.save_as(tmp_path / "other.dcm")
        send(us.address, [read_object(tmp_path / "other.dcm")])
        kept = us.spool.studies / files[0].instance.study_uid
        assert content(next(kept.iterdir())) == content(files[0].path)
    assert "came twice with different content" in us.told[-1]


def test_our_own_results_that_an_archive_sends_back_start_nothing(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        us.queue.arrived("1.2", 1)
        us.queue.move("1.2", "receiving", "predicting")
        us.queue.predicted("1.2", [files[0].instance.sop_uid])
        assert send(us.address, files[:1]) == [files[0].instance.sop_uid]
        assert us.queue.study(files[0].instance.study_uid) is None


def test_an_unknown_sender_and_a_wrong_title_are_turned_away(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path, allowed=("SCANNER",)) as us:
        with pytest.raises(ArchiveError, match="rejects the association"):
            send(us.address, files)
        with pytest.raises(ArchiveError, match="it is not called 'OTHER'"):
            send(replace(us.address, title="OTHER"), files, Node("SCANNER", patience=HASTY))
        assert len(send(us.address, files, Node("SCANNER", patience=HASTY))) == 6
    rejected = [line for line in us.told if "rejected" in line]
    assert rejected == [
        "association of CALCILENS rejected: CALCILENS is not one of --allow",
        "association of SCANNER rejected: it calls OTHER, and we are US",
    ]


def test_a_full_disk_is_out_of_resources_and_what_was_confirmed_stays(
    files: list[ObjectFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(tmp_path, replace(LIMITS, reserve_bytes=1000)) as us:
        send(us.address, files[:2])
        monkeypatch.setattr(Spool, "free_bytes", lambda spool: 999)
        with pytest.raises(Unreachable, match="0xA700"):
            send(us.address, files[2:])
        assert len(us.spool.objects(files[0].instance.study_uid)) == 2
        monkeypatch.undo()
        assert len(send(us.address, files[2:])) == 4
    assert any("disk is full" in line for line in us.told)


def test_more_senders_than_allowed_are_asked_to_come_again(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path, replace(LIMITS, associations=1)) as us:
        first = associate(us.address, NODE, [build_context(VERIFICATION)])
        assert first.send_c_echo().Status == 0
        with pytest.raises(Unreachable, match="rejects the association"):
            send(us.address, files)
        first.release()
        until(lambda: _sends(us, files))
    assert "association of CALCILENS rejected: more than 1 at once" in us.told


def _sends(us: Running, files: list[ObjectFile]) -> bool:
    try:
        return len(send(us.address, files)) == 6
    except Unreachable:
        return False


def test_a_pdu_longer_than_allowed_ends_the_connection_before_it_is_read(tmp_path: Path) -> None:
    with receiving(tmp_path) as us, connected(us) as wire:
        wire.sendall(b"\x01\x00" + (1 << 30).to_bytes(4, "big"))
        assert _closed(wire)


def connected(us: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", us.address.port), 10)


def _closed(wire: socket.socket) -> bool:
    """Say whether the other side ends the connection within 20 s."""
    wire.settimeout(20)
    try:
        while wire.recv(64):
            pass
    except ConnectionError:
        return True
    return True


def test_a_sender_that_falls_silent_in_a_pdu_holds_up_nobody(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path, replace(LIMITS, idle_s=1)) as us, connected(us) as wire:
        wire.sendall(b"\x01\x00\x00\x00\x10\x00half")
        assert len(send(us.address, files)) == 6
        assert _closed(wire)


def test_a_sender_that_dies_in_an_object_leaves_nothing_confirmed(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with receiving(tmp_path) as us:
        association = associate(
            us.address, NODE, [build_context(files[0].instance.sop_class_uid, files[0].syntax_uid)]
        )
        socket_: Any = association.dul.socket
        socket_.socket.sendall(b"\x04\x00\x00\x00\x40\x00\x00\x00\x3f\xfa\x01\x00half")
        socket_.socket.close()
        association.abort(block=False)
        assert len(send(us.address, files)) == 6
    assert len(us.queue.studies()) == 1


def test_an_announced_study_is_known_to_be_complete(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    said = Dataset()
    said.StudyInstanceUID = files[0].instance.study_uid
    series = Dataset()
    series.SeriesInstanceUID = files[0].instance.series_uid
    series.ReferencedSOPSequence = []
    for file in files:
        item = Dataset()
        item.ReferencedSOPInstanceUID = file.instance.sop_uid
        series.ReferencedSOPSequence.append(item)
    said.ReferencedSeriesSequence = [series]
    with receiving(tmp_path) as us:
        association = associate(us.address, NODE, [build_context(AVAILABILITY)])
        status, _ = association.send_n_create(said, AVAILABILITY, "1.2.3.4")
        association.release()
        assert status.Status == 0
        assert us.queue.announced(files[0].instance.study_uid) == {
            f.instance.sop_uid for f in files
        }


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with receiving(tmp_path) as us:
        place = Place("US", "127.0.0.1", us.address.port)
        other = Receiver(us.spool, us.queue, LIMITS, print)
        expected = "expected an address to listen on, found Address"
        with pytest.raises(UsageError, match=expected), other.serving(place):
            pass


def test_with_tls_only_those_with_a_certificate_get_in(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    issue = certificates(tmp_path)
    us_, them = issue("us"), issue("them")
    with receiving(tmp_path, tls=us_) as us:
        assert len(send(us.address, files, Node(tls=them, patience=HASTY))) == 6
        stranger = Node(tls=Tls(ca=them.ca), patience=HASTY)
        with pytest.raises(Unreachable, match="cannot be reached"):
            send(us.address, files, stranger)
        with pytest.raises(Unreachable, match="cannot be reached"):
            send(replace(us.address, tls=False), files)


def test_a_connection_that_never_shakes_hands_does_not_hold_up_the_others(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    issue = certificates(tmp_path)
    us_, them = issue("us"), issue("them")
    with receiving(tmp_path, tls=us_) as us, connected(us):
        assert len(send(us.address, files, Node(tls=them, patience=HASTY))) == 6
