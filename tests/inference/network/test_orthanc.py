"""Tried for real: a study goes into Debian's Orthanc, results come back; `listen` beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from calcilens.inference.formats import FORMATS, LARGE
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.queue import Queue, StudyRow
from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study
from tests.inference.network.made import SECRETS, content, ct_study, until
from tests.inference.network.orthanc import MOVE, Orthanc, own_network, running, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
PORT = 11112
STUDIES, SENDERS = 20, 4


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with own_network(), running(tmp_path) as orthanc:
        yield orthanc


def start(tmp_path: Path, *words: object, log: Path | None = None) -> subprocess.Popen[str]:
    """Start a command of ours, with memory and pictures of its own."""
    here = {
        "XDG_STATE_HOME": str(tmp_path / f"state-{words[0]}"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with (log or tmp_path / f"{words[0]}.log").open("a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "calcilens.cli", *map(str, words)],
            env=os.environ | here, stdout=stream, stderr=stream, text=True,
        )  # fmt: skip


def ran(tmp_path: Path, *words: object) -> str:
    log = tmp_path / "commands.log"
    before = log.read_text() if log.exists() else ""
    code = start(tmp_path, *words, log=log).wait(300)
    said = log.read_text().removeprefix(before)
    assert code == 0, said
    return said


def contents(folder: Path) -> dict[str, bytes]:
    files = find_objects([folder])[0]
    found = {f.instance.sop_uid: content(f.path) for f in files}
    assert len(found) == len(files)
    return found


def held(archive: Orthanc, tmp_path: Path) -> dict[str, bytes]:
    """Return the data sets that the archive holds."""
    folder = tmp_path / "held"
    folder.mkdir(exist_ok=True)
    for uid, data in archive.objects().items():
        (folder / uid).write_bytes(data)
    return contents(folder)


def compressed(file: ObjectFile) -> None:
    ds = dcmread(file.path)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(file.path)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["web", "dimse"])
def test_a_study_goes_in_and_results_come_back_bit_for_bit(
    way: str, archive: Orthanc, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "in", planes=10)
    for file in files[:5]:
        compressed(file)
    uid, address = files[0].instance.study_uid, getattr(archive, way)
    assert "it lists 10 of 10" in ran(tmp_path, "push", tmp_path / "in", address)
    ran(tmp_path, "pull", address, uid, "-o", tmp_path / "study")
    assert contents(tmp_path / "study") == contents(tmp_path / "in")

    ran(tmp_path, "predict", tmp_path / "study", "-o", tmp_path / "out", "--formats", "json,seg")
    results = tmp_path / "out" / uid / "dicom"
    assert "took 1 object;" in ran(tmp_path, "push", results, address)
    assert "took 0 objects, 1 sent before" in ran(tmp_path, "push", results, address)
    wanted = contents(tmp_path / "in") | contents(results)
    assert held(archive, tmp_path) == wanted
    ways: dict[str, tuple[object, ...]] = {
        "web": (archive.web,),
        "get": (archive.dimse,),
        "move": (archive.dimse, "--move-port", MOVE),
    }
    for name, words in ways.items():
        ran(tmp_path, "pull", *words, uid, "-o", tmp_path / name)
        assert contents(tmp_path / name) == wanted
    said = (tmp_path / "commands.log").read_text()
    assert not any(secret in said for secret in SECRETS)


def test_studies_are_found_by_date_and_modality(archive: Orthanc, tmp_path: Path) -> None:
    files = ct_study(tmp_path / "in", planes=2)
    ran(tmp_path, "push", tmp_path / "in", archive.web)
    for address in (archive.web, archive.dimse):
        told = ran(tmp_path, "pull", address, "--date", "20250102", "--modality", "CT", "--dry-run")
        assert f"{files[0].instance.study_uid}: 20250102, CT, 1 series, 2 objects" in told
        quiet = ran(tmp_path, "pull", address, "--date", "20250103-20250110", "--dry-run")
        assert "no study that fits" in quiet  # no failure: of a nightly run on a day without any


def test_studies_are_found_by_numbers_that_are_never_shown(
    archive: Orthanc, tmp_path: Path
) -> None:
    for number, person in enumerate(("ONE-77", "TWO-88")):
        for file in ct_study(tmp_path / "in" / str(number), number, planes=1):
            ds = dcmread(file.path)
            ds.PatientID, ds.AccessionNumber = person, f"ACC-{person}"
            ds.save_as(file.path)
    ran(tmp_path, "push", tmp_path / "in", archive.web)
    wanted = find_objects([tmp_path / "in" / "1"])[0][0].instance.study_uid
    ways = (("--patient-id", "TWO-88"), ("--accession", "ACC-TWO-88"))
    for number, (address, way) in enumerate(product((archive.web, archive.dimse), ways)):
        out = tmp_path / f"out{number}"
        ran(tmp_path, "pull", address, *way, "--dry-run", "--json")
        ran(tmp_path, "pull", address, *way, "-o", out)
        assert [folder.name for folder in out.iterdir()] == [wanted]
    assert "TWO-88" not in (tmp_path / "commands.log").read_text()


def test_a_port_that_the_archive_does_not_send_to_is_named(
    archive: Orthanc, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "in", planes=1)
    ran(tmp_path, "push", tmp_path / "in", archive.web)
    words = (archive.dimse, files[0].instance.study_uid, "-o", tmp_path / "out")
    assert start(tmp_path, "pull", *words, "--move-port", MOVE + 1, "--tries", 1).wait(60) == 1
    told = (tmp_path / "pull.log").read_text()
    assert f"list of modalities must have 'CALCILENS' at 127.0.0.1, port {MOVE + 1}" in told


class Listener:
    """`calcilens listen` beside the archive, killed and started again."""

    def __init__(self, archive: Orthanc, folder: Path) -> None:
        self._folder, self._to = folder, archive.dimse
        self.log = folder / "listen.log"
        self._starts = 0

    def start(self, quiet_s: int, formats: str = "json,seg") -> None:
        self._starts += 1
        words = ("--spool", self._folder / "spool", "--to", self._to, "--port", PORT)
        more = ("--quiet", quiet_s, "--formats", formats, "--workers", 2)
        self.process = start(self._folder, "listen", *(*words, *more), log=self.log)
        until(lambda: self.log.read_text().count("listening as") == self._starts, 120)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def rows(self) -> list[StudyRow]:
        queue = Queue(self._folder / "spool" / "queue.sqlite")
        rows = queue.studies()
        queue.close()
        return rows

    def sent(self) -> int:
        return sum(row.state == "sent" for row in self.rows())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.mark.slow
def test_twenty_studies_sent_at_once_give_twenty_results_though_the_listener_is_killed(
    archive: Orthanc, tmp_path: Path
) -> None:
    for number in range(STUDIES):
        ct_study(tmp_path / "in" / str(number % SENDERS) / str(number), number, planes=6)
    us = Listener(archive, tmp_path)
    senders: list[subprocess.Popen[str]] = []
    try:
        us.start(quiet_s=20)  # senders find it again within that time
        address = f"CALCILENS@127.0.0.1:{PORT}"
        senders += [
            start(tmp_path, "push", tmp_path / "in" / str(n), address, "--tries", 9,
                  log=tmp_path / f"sender-{n}.log")
            for n in range(SENDERS)
        ]  # fmt: skip
        until(lambda: len(us.rows()) > SENDERS, 120)
        us.kill()  # while objects come in
        us.start(quiet_s=20)
        assert [sender.wait(240) for sender in senders] == [0] * SENDERS
        until(lambda: us.sent() >= 3, 240)
        us.kill()  # while studies are predicted and sent
        before = us.sent()
        us.start(quiet_s=1)
        until(lambda: us.sent() == STUDIES, 300)
        assert us.stop() == 0
    finally:
        for process in (us.process, *senders):
            process.kill()
            process.wait()
    assert before < STUDIES
    results = held(archive, tmp_path)
    made = contents(tmp_path / "spool" / "outbox")
    assert {uid: made[uid] for uid in results} == results
    studies = {ds.StudyInstanceUID for ds in map(dcmread, (tmp_path / "held").iterdir())}
    assert len(results) == len(studies) == STUDIES
    assert not any(secret in us.log.read_text() for secret in SECRETS)


@pytest.mark.slow
def test_results_in_every_format_are_in_the_archive_once_and_bit_for_bit(
    archive: Orthanc, tmp_path: Path
) -> None:
    for kind in ("ct", "radiograph"):
        (tmp_path / kind).mkdir()
        write_study(tmp_path / kind, Plan(3, kind, "knee", ("diffuse",)))
    us = Listener(archive, tmp_path)
    try:
        us.start(quiet_s=3, formats="all")
        for kind in ("ct", "radiograph"):
            ran(tmp_path, "push", tmp_path / kind / "dicom", f"CALCILENS@127.0.0.1:{PORT}")
        until(lambda: us.sent() == 2, 300)
        assert us.stop() == 0
    finally:
        us.process.kill()
        us.process.wait()
    wanted = contents(tmp_path / "spool" / "reports")
    written = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "spool").rglob("dicom/*.dcm")}
    assert written == set(FORMATS) - {"json", "html", "fhir"} - LARGE
    assert contents(tmp_path / "spool" / "outbox") == held(archive, tmp_path) == wanted
    for name, address in {"web": archive.web, "get": archive.dimse}.items():
        for row in us.rows():
            ran(tmp_path, "pull", address, row.uid, "-o", tmp_path / name)
        assert contents(tmp_path / name) == wanted
