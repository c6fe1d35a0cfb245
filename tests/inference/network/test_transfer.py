"""DIMSE archives that refuse, are slow, send half a study, or die between two objects."""

from __future__ import annotations

import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGLSLossless
from pynetdicom.events import Event
from pynetdicom.presentation import build_context

from calcilens.errors import ArchiveError, Unreachable
from calcilens.inference.network.address import DimseAddress
from calcilens.inference.network.archive import Filters, Listed, Node, open_archive
from calcilens.inference.network.entity import FIND, associate, closing
from calcilens.inference.network.ledger import Ledger
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.pull import Pull, Pulled
from calcilens.inference.network.push import Push, Pushed
from calcilens.inference.network.retries import Patience
from tests import dicom_factory as factory
from tests.inference.network.made import (
    HASTY,
    NODE,
    SECRETS,
    Choosy,
    FakeArchive,
    certificates,
    content,
    ct_study,
)


@pytest.fixture
def files(tmp_path: Path) -> list[ObjectFile]:
    return ct_study(tmp_path / "study")


def push(
    address: DimseAddress,
    files: list[ObjectFile],
    tmp_path: Path,
    node: Node = NODE,
    *,
    force: bool = False,
) -> tuple[Pushed, list[str]]:
    told: list[str] = []
    ledger = Ledger(tmp_path / "ledger.sqlite", "FAKE")
    with open_archive(address, node) as archive, ledger:
        job = Push(archive, ledger, node.patience, tell=told.append)
        return job.send(job.plan(files, force=force)), told


def pull(address: DimseAddress, files: list[ObjectFile], out: Path) -> tuple[Pulled, list[str]]:
    told: list[str] = []
    with open_archive(address, NODE) as archive:
        job = Pull(archive, out, HASTY, tell=told.append)
        return job.fetch(files[0].instance.study_uid), told


def uids(files: list[ObjectFile]) -> list[str]:
    return sorted(f.instance.sop_uid for f in files)


def test_a_connection_waits_for_no_acknowledgement_that_is_put_off() -> None:
    with (
        FakeArchive().serving() as address,
        closing(associate(address, NODE, [build_context(FIND)])) as association,
    ):
        opened: Any = association.dul.socket
        assert opened.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_answer_is_left_for_the_request_that_waits_for_it() -> None:
    with (
        FakeArchive().serving() as address,
        closing(associate(address, NODE, [build_context(FIND)])) as association,
    ):
        answer: Any = (1, "answer")
        association.dimse.msg_queue.put(answer)
        time.sleep(0.1)  # many turns of pynetdicom's reactor, which would take it
        assert association.dimse.get_msg(block=True) == answer


def test_an_archive_that_dies_after_every_object_gets_all_of_them_once(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(lambda n: None if n % 2 == 0 else 0, files)
    with archive.serving() as address:
        pushed, told = push(address, files, tmp_path)
    assert sorted(archive.taken) == uids(files)
    assert (pushed.sent, pushed.verified) == (6, 6)
    assert len(told) == 5
    assert all("broke off" in line and "next try in" in line for line in told)


def test_an_archive_without_room_is_asked_again_and_nothing_is_sent_twice(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(lambda n: 0xA700 if n in (3, 4) else 0, files)
    with archive.serving() as address:
        pushed, told = push(address, files, tmp_path)
    assert sorted(archive.taken) == uids(files)
    assert pushed.sent == 6
    assert all("0xA700" in line for line in told)


def test_an_archive_that_is_down_is_given_up_in_one_line_and_a_later_run_goes_on(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    broken = FakeArchive(lambda n: 0 if n <= 2 else 0xA700, files)
    with broken.serving() as address, pytest.raises(Unreachable, match="no room or time"):
        push(address, files, tmp_path)
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        push(address, files, tmp_path)
    mended = FakeArchive(files=files)
    with mended.serving() as address:
        pushed, _ = push(address, files, tmp_path)
    assert sorted(broken.taken + mended.taken) == uids(files)
    assert (pushed.sent, pushed.known, pushed.verified) == (4, 2, 6)


def test_what_an_archive_refuses_for_good_is_told_and_the_others_arrive(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(lambda n: 0xC000 if n == 2 else 0, files)
    with archive.serving() as address:
        pushed, _ = push(address, files, tmp_path)
    assert len(archive.taken) == 5
    assert [r.why for r in pushed.refused] == ["the archive refuses it (0xC000)"]


@pytest.mark.parametrize("status", [0x0110, None], ids=["busy", "breaks off"])
def test_one_object_that_an_archive_never_takes_does_not_hold_up_the_others(
    status: int | None, files: list[ObjectFile], tmp_path: Path
) -> None:
    bad = files[0].instance.sop_uid
    archive = Choosy(files=files, uid=bad, status=status)
    with archive.serving() as address, pytest.raises(Unreachable, match="FAKE"):
        push(address, files, tmp_path)
    assert sorted(archive.taken) == uids(files[1:])


def test_an_object_that_cannot_be_written_for_an_archive_is_refused_and_the_others_arrive(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    ds = factory.new_object(syntax=ExplicitVRBigEndian, sop_uid="1.2.3")
    factory.save(ds, tmp_path / "study" / "big.dcm")
    archive = FakeArchive(files=files, syntaxes=[ImplicitVRLittleEndian])
    with archive.serving() as address:
        pushed, _ = push(address, find_objects([tmp_path / "study"])[0], tmp_path)
    assert sorted(archive.taken) == uids(files)
    assert [r.why for r in pushed.refused] == [
        "the archive takes no CT Image Storage in Explicit VR Big Endian"
    ]


def test_an_object_that_is_there_already_counts_as_taken(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with FakeArchive(lambda n: 0x0111, files).serving() as address:
        pushed, _ = push(address, files, tmp_path)
    assert (pushed.sent, pushed.refused) == (6, ())


def test_what_an_archive_has_lost_is_sent_again(files: list[ObjectFile], tmp_path: Path) -> None:
    with FakeArchive(files=files).serving() as address:
        push(address, files, tmp_path)
    archive = FakeArchive(files=files[:4])
    with archive.serving() as address:
        pushed, told = push(address, files, tmp_path)
    assert sorted(archive.taken) == uids(files[4:])
    assert "2 objects that were sent before are not there now" in told[0]
    assert pushed.verified == 4


def test_an_archive_that_cannot_be_asked_gets_nothing_twice_unless_it_is_wanted(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(finds=False)
    with archive.serving() as address:
        first, _ = push(address, files, tmp_path)
        second, told = push(address, files, tmp_path)
        assert sorted(archive.taken) == uids(files)
        third, _ = push(address, files, tmp_path, force=True)
    assert (first.sent, first.verified) == (6, None)
    assert (second.sent, second.known, third.sent) == (0, 6, 6)
    assert sorted(archive.taken) == sorted(2 * uids(files))
    assert told == []  # a node that only takes objects is no trouble


def test_an_archive_that_refuses_to_say_what_it_holds_is_told_of_once(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = Secretive(files=files)
    with archive.serving() as address:
        push(address, files, tmp_path)
        _, told = push(address, files, tmp_path)
    assert [line.split(": ")[0] for line in told] == ["what the archive holds cannot be asked"]


class Secretive(FakeArchive):
    """Refuses all queries."""

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xC000, None


def test_a_slow_archive_is_left_after_the_timeout(files: list[ObjectFile], tmp_path: Path) -> None:
    def slow(n: int) -> int:
        time.sleep(1.5)
        return 0

    node = Node(patience=Patience(attempts=1, timeout_s=0.3))
    with (
        FakeArchive(slow, files).serving() as address,
        pytest.raises(Unreachable, match="does not answer in time"),
    ):
        push(address, files[:1], tmp_path, node)


def test_an_archive_that_does_not_know_us_says_so_at_once(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(files=files)
    with (
        archive.serving(require_calling_aet=["OTHER"]) as address,
        pytest.raises(ArchiveError, match="it must know AE title 'CALCILENS'"),
    ):
        push(address, files, tmp_path)
    assert archive.taken == []


def test_an_archive_of_the_simplest_kind_gets_what_can_be_written_for_it(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    ds = dcmread(files[0].path)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(files[0].path)
    archive = FakeArchive(files=files, syntaxes=[ImplicitVRLittleEndian])
    with archive.serving() as address:
        pushed, _ = push(address, find_objects([tmp_path / "study"])[0], tmp_path)
    assert sorted(archive.taken) == uids(files[1:])
    assert [r.why for r in pushed.refused] == [
        "the archive takes no CT Image Storage in JPEG-LS Lossless Image Compression"
    ]


def test_the_ledger_holds_no_patient_data(files: list[ObjectFile], tmp_path: Path) -> None:
    with FakeArchive(files=files).serving() as address:
        push(address, files, tmp_path)
    rows = sqlite3.connect(tmp_path / "ledger.sqlite").execute("SELECT * FROM taken").fetchall()
    assert len(rows) == 6
    assert not any(secret in str(rows) for secret in SECRETS)


def test_a_study_comes_as_it_was_though_the_archive_dies_between_objects(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    archive = FakeArchive(lambda n: None if n % 2 == 0 else 0, files)
    with archive.serving() as address:
        pulled, told = pull(address, files, tmp_path / "out")
    found = {f.instance.sop_uid: f.path for f in find_objects([tmp_path / "out"])[0]}
    assert all(content(found[f.instance.sop_uid]) == content(f.path) for f in files)
    assert sorted(archive.taken) == uids(files)
    assert pulled.fetched == 6
    assert len(told) == 5


def test_half_a_study_is_no_study(files: list[ObjectFile], tmp_path: Path) -> None:
    with (
        FakeArchive(lambda n: 0 if n <= 3 else 0xA900, files).serving() as address,
        pytest.raises(Unreachable, match="3 of 6 objects did not come"),
    ):
        pull(address, files, tmp_path / "out")
    mended = FakeArchive(files=files)
    with mended.serving() as address:
        pulled, _ = pull(address, files, tmp_path / "out")
    assert (pulled.fetched, pulled.kept) == (3, 3)
    assert len(mended.taken) == 3


def test_a_study_that_is_not_there_is_one_line(files: list[ObjectFile], tmp_path: Path) -> None:
    with (
        FakeArchive().serving() as address,
        pytest.raises(ArchiveError, match="the archive holds none of it"),
    ):
        pull(address, files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_without_c_get_is_one_line_that_names_c_move(
    files: list[ObjectFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.inference.network.made.GET", "1.2.840.10008.5.1.4.1.2.1.3")
    with (
        FakeArchive(files=files).serving() as address,
        pytest.raises(ArchiveError, match=r"offers no C-GET; use C-MOVE \(--move-port\)"),
    ):
        pull(address, files, tmp_path / "out")


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (Filters(), True),
        (Filters(modality="CT"), True),
        (Filters(modality="DX"), False),
        (Filters(patient_id="one-7"), True),
        (Filters(patient_id="ONE"), False),
        (Filters(accession="A2"), True),  # the answer does not name it
    ],
)
def test_a_study_of_another_patient_is_left_out_though_an_archive_gives_all(
    filters: Filters, fits: bool
) -> None:
    assert filters.fit(("CT", "SR"), "ONE-7", "") is fits


class Vague(FakeArchive):
    """Names the class of every other object by what is no UID."""

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        for number, (status, row) in enumerate(super()._find(event)):
            if row is not None and "SOPClassUID" in row and number % 2:
                row.add_new("SOPClassUID", "LO", "CT image")
            yield status, row


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_class_that_is_no_uid_counts_as_not_said(files: list[ObjectFile], tmp_path: Path) -> None:
    with Vague(files=files).serving() as address:
        assert pull(address, files, tmp_path / "out")[0].fetched == 6


class Forgetful(FakeArchive):
    """Answers queries without the UIDs that were asked for."""

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        row = Dataset()
        row.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
        yield 0xFF00, row


def test_an_archive_that_names_nothing_is_one_line(files: list[ObjectFile], tmp_path: Path) -> None:
    with (
        Forgetful(files=files).serving() as address,
        pytest.raises(ArchiveError, match="names objects by what is no UID"),
    ):
        pull(address, files, tmp_path / "out")
    with Forgetful().serving() as address, open_archive(address, NODE) as archive:
        assert archive.studies(Filters("20250102")) == [Listed("")]


@pytest.mark.parametrize("uid", ["", "../evil", "1.2\0"])
def test_a_study_that_an_archive_names_by_what_is_no_uid_is_not_asked_for(
    uid: str, tmp_path: Path
) -> None:
    with (
        FakeArchive().serving() as address,
        open_archive(address, NODE) as archive,
        pytest.raises(ArchiveError, match="names a study by what is no UID"),
    ):
        Pull(archive, tmp_path / "out", HASTY, tell=print).fetch(uid)
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_that_is_not_trusted_is_told_at_once(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    theirs = certificates(tmp_path)("them").server()
    assert theirs is not None
    theirs.verify_mode = ssl.CERT_NONE
    archive = FakeArchive(files=files)
    with archive.serving(theirs) as plain:
        address = DimseAddress(plain.title, plain.host, plain.port, tls=True)
        with pytest.raises(ArchiveError, match="not trusted; name its issuer with --tls-ca"):
            push(address, files, tmp_path)
