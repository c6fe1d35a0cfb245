"""The parts of `listen`: a worker that predicts, a loop that sends, and how things stand."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calcilens.errors import StudyError, UsageError
from calcilens.inference.network.address import DimseAddress, WebAddress
from calcilens.inference.network.listen import Listener, Settings, status
from calcilens.inference.network.objects import ObjectFile
from calcilens.inference.network.queue import Queue
from calcilens.inference.network.receiver import Limits, Place
from calcilens.inference.network.retries import Patience
from calcilens.inference.network.sender import SendLoop
from calcilens.inference.network.spool import Spool
from calcilens.inference.network.worker import Options
from calcilens.inference.network.workers import PredictLoop, Worker, WorkerError
from tests.inference.network.made import NODE, Choosy, FakeArchive, ct_study, free_port, until

STUDY = "1.2"
ROOMY = Limits(reserve_bytes=0)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def queue(spool: Spool) -> Iterator[Queue]:
    opened = Queue(spool.queue)
    yield opened
    opened.close()


def predicted(spool: Spool, queue: Queue, files: list[ObjectFile]) -> None:
    """Put a study with results into the queue."""
    queue.arrived(STUDY, 1)
    queue.move(STUDY, "receiving", "predicting")
    assert queue.predicted(STUDY, spool.post(files))


def state(queue: Queue, uid: str = STUDY) -> str:
    row = queue.study(uid)
    return "none" if row is None else row.state


@contextmanager
def at_work(loop: SendLoop | PredictLoop) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("fault", [None, 0xA700, 0xC000], ids=["dies", "full", "refuses"])
def test_an_archive_that_fails_between_results_gets_each_once(
    fault: int | None, spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "results")
    archive = FakeArchive(lambda n: fault if n in (2, 4) else 0)
    predicted(spool, queue, files)
    told: list[str] = []
    with archive.serving() as address, at_work(SendLoop(spool, queue, address, NODE, told.append)):
        until(lambda: state(queue) == "sent")
    assert sorted(archive.taken) == sorted(f.instance.sop_uid for f in files)
    assert "not sent" in told[0]
    assert "next try in" in told[0]


def test_a_result_that_an_archive_never_takes_does_not_hold_up_the_others(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "results")
    bad = files[0].instance.sop_uid
    archive = Choosy(uid=bad)
    predicted(spool, queue, files)
    with archive.serving() as address, at_work(SendLoop(spool, queue, address, NODE, print)):
        until(lambda: len(archive.taken) == 5)
    assert bad not in archive.taken
    assert [r.sop_uid for r in queue.results(STUDY) if r.state != "sent"] == [bad]


def test_a_secret_that_cannot_be_read_is_tried_again(
    spool: Spool, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN_FILE", str(tmp_path / "none"))
    predicted(spool, queue, ct_study(tmp_path / "results"))
    told: list[str] = []
    to = WebAddress("http://127.0.0.1:9")
    with at_work(SendLoop(spool, queue, to, NODE, told.append)):
        until(lambda: len(told) > 1)
    assert "not sent: CALCILENS_ARCHIVE_TOKEN_FILE=" in told[0]


def test_what_arrived_before_a_crash_is_not_sent_again(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "results")
    study = files[0].instance.study_uid
    queue.arrived(study, 1)
    queue.move(study, "receiving", "predicting")
    queue.predicted(study, spool.post(files))
    queue.claim("predicted", "sending")
    queue.mark([f.instance.sop_uid for f in files[:4]], "sending")
    queue.recover()
    archive = FakeArchive(files=files[:3])  # it got three before the crash
    told: list[str] = []
    with archive.serving() as address, at_work(SendLoop(spool, queue, address, NODE, told.append)):
        until(lambda: state(queue, study) == "sent")
    assert sorted(archive.taken) == sorted(f.instance.sop_uid for f in files[3:])


def test_an_archive_that_is_down_costs_nothing_but_time(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "results")
    predicted(spool, queue, files)
    archive = FakeArchive()
    told: list[str] = []
    with archive.serving() as address:
        pass
    with at_work(SendLoop(spool, queue, address, NODE, told.append)):
        until(lambda: len(told) >= 3)
    assert all(" not sent: " in line for line in told)  # one line a try
    assert state(queue) == "predicted"
    assert status(spool)["troubles"][0]["why"].startswith(f"{address}: the archive cannot be")
    assert {r.state for r in queue.results(STUDY)} <= {"waiting", "sending"}


def options(spool: Spool) -> Options:
    return Options(str(spool.reports), ("json", "seg"))


def test_options_of_a_worker_come_out_as_they_went_in(spool: Spool) -> None:
    assert Options.from_json(options(spool).to_json()) == options(spool)


def test_a_worker_says_what_is_wrong_with_a_study_and_lives_on(
    spool: Spool, tmp_path: Path
) -> None:
    ct_study(tmp_path / "good", planes=6)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.dcm").write_bytes(b"nothing")
    worker = Worker(options(spool), timeout_s=200)
    try:
        with pytest.raises(StudyError, match="expected"):
            worker.report(tmp_path / "bad")
        first = worker._process
        assert (worker.report(tmp_path / "good").folder / "run.json").exists()
        assert worker._process is first
    finally:
        worker.stop()


def test_a_worker_that_takes_too_long_is_ended(spool: Spool, tmp_path: Path) -> None:
    ct_study(tmp_path / "good")
    worker = Worker(options(spool), timeout_s=0.05)
    with pytest.raises(WorkerError, match="took more than 0 s"):
        worker.report(tmp_path / "good")
    assert worker._process is None


def test_a_worker_ends_with_the_program_that_started_it_also_within_a_study(
    spool: Spool, tmp_path: Path
) -> None:
    ct_study(tmp_path / "good")
    process = Worker(options(spool), timeout_s=200)._start()
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        process.stdin.write(json.dumps(str(tmp_path / "good")) + "\n")
        process.stdin.close()
        assert process.wait(100) == 0
        assert process.stdout.read() == ""


def test_a_study_whose_worker_always_crashes_fails_after_as_many_tries_and_stays(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    (file, *_) = ct_study(tmp_path / "in")
    shutil.copytree(tmp_path / "in", spool.studies / file.instance.study_uid)
    queue.arrived(file.instance.study_uid, 6)
    queue.move(file.instance.study_uid, "receiving", "received")
    told: list[str] = []
    hasty = Patience(attempts=3, first_s=0.01)
    worker = Worker(options(spool), timeout_s=0.05)
    with at_work(PredictLoop(spool, queue, worker, hasty, told.append)):
        until(lambda: state(queue, file.instance.study_uid) == "failed")
    assert [line for line in told if "next try" in line] == [t for t in told if "next" in t]
    assert sum("next try" in line for line in told) == 2
    assert len(spool.objects(file.instance.study_uid)) == 6


def test_a_listener_that_is_stopped_in_the_middle_goes_on_at_the_next_start(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    (file, *_) = ct_study(tmp_path / "in")
    study = file.instance.study_uid
    shutil.copytree(tmp_path / "in", spool.studies / study)  # the queue does not know of it yet
    archive = FakeArchive()
    with archive.serving() as address:
        for end in ("predicting", "sent"):
            told: list[str] = []
            place = Place("US", "127.0.0.1", free_port())
            settings = Settings(place, address, NODE, options(spool), quiet_s=0, limits=ROOMY)
            stop = threading.Event()
            listener = Listener(spool, settings, told.append)
            thread = threading.Thread(target=listener.run, args=(stop,))
            thread.start()
            until(lambda end=end: state(queue, study) == end, 120)  # type: ignore[misc]
            stop.set()
            thread.join(60)
            assert not thread.is_alive()
            assert state(queue, study) == end
            assert "stopped; what is not done" in told[-1]
    assert len(archive.taken) == 1


def test_two_listeners_do_not_share_a_spool(spool: Spool) -> None:
    place = Place("US", "127.0.0.1", 1)
    settings = Settings(
        place, DimseAddress("X", "127.0.0.1", 1, False), NODE, options(spool), limits=ROOMY
    )
    with spool.ours():
        assert spool.in_use()
        with pytest.raises(UsageError, match="expected a spool of its own, found one in use"):
            Listener(spool, settings, print).run(threading.Event())
    assert not spool.in_use()


def test_what_a_crash_left_in_the_spool_is_cleared_and_what_was_confirmed_goes_on(
    spool: Spool, queue: Queue, tmp_path: Path
) -> None:
    files = ct_study(tmp_path / "in")
    predicted(spool, queue, files[:1])
    spool.post(files[1:2])  # the end came before the queue knew of it
    (spool.incoming / "half.dcm").write_bytes(b"half")
    spool.clear(queue.is_result)
    assert list(spool.incoming.iterdir()) == []
    assert [p.stem for p in spool.outbox.iterdir()] == [files[0].instance.sop_uid]
