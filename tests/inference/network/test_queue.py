"""The queue: what was begun goes on, whatever ends the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from calcilens.errors import InputError
from calcilens.inference.network.queue import Queue


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite")


def received(queue: Queue, uid: str = "1.2") -> None:
    queue.arrived(uid, 3)
    assert queue.move(uid, "receiving", "received")


def state(queue: Queue, uid: str = "1.2") -> str:
    row = queue.study(uid)
    assert row is not None
    return row.state


def test_a_study_goes_its_way_and_is_claimed_once(queue: Queue) -> None:
    received(queue)
    row = queue.claim("received", "predicting")
    assert row is not None
    assert row.objects == 3
    assert queue.claim("received", "predicting") is None
    assert queue.predicted("1.2", ["1.2.9"])
    assert queue.claim("predicted", "sending") is not None
    queue.mark(["1.2.9"], "sent")
    assert queue.move("1.2", "sending", "sent")
    assert [r.state for r in queue.results("1.2")] == ["sent"]


def test_an_object_that_comes_during_prediction_has_the_study_predicted_again(
    queue: Queue,
) -> None:
    received(queue)
    queue.claim("received", "predicting")
    queue.arrived("1.2", 4)
    assert not queue.predicted("1.2", ["1.2.9"])
    assert queue.results("1.2") == []
    assert state(queue) == "receiving"


def test_a_result_that_was_sent_is_not_sent_again_after_a_second_prediction(queue: Queue) -> None:
    both = ["1.2.9", "1.2.10"]
    received(queue)
    queue.claim("received", "predicting")
    queue.predicted("1.2", both)
    queue.mark(["1.2.9"], "sent")
    received(queue)
    queue.claim("received", "predicting")
    queue.predicted("1.2", both[:1])
    assert [(r.sop_uid, r.state) for r in queue.results("1.2")] == [("1.2.9", "sent")]


def test_a_study_given_back_waits_until_it_is_due(queue: Queue) -> None:
    received(queue)
    queue.claim("received", "predicting")
    queue.again("1.2", "predicting", "received", 1000, "it crashed")
    row = queue.study("1.2")
    assert row is not None
    assert (row.state, row.failures, row.why) == ("received", 1, "it crashed")
    assert queue.claim("received", "predicting") is None


def test_of_several_threads_one_gets_a_study(queue: Queue) -> None:
    for number in range(40):
        received(queue, f"1.2.{number}")
    got: list[str] = []

    def take() -> None:
        while (row := queue.claim("received", "predicting")) is not None:
            got.append(row.uid)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted({f"1.2.{n}" for n in range(40)})


def test_our_own_objects_are_known_also_when_their_study_is_forgotten(queue: Queue) -> None:
    received(queue)
    queue.claim("received", "predicting")
    queue.predicted("1.2", ["1.2.9"])
    queue.remove("1.2")
    assert queue.study("1.2") is None
    assert queue.is_result("1.2.9")
    assert not queue.is_result("1.2.10")


KILLED = """
import os, signal, sys
from pathlib import Path
from calcilens.errors import InputError
from calcilens.inference.network.queue import Queue
queue = Queue(Path(sys.argv[1]))
for uid in ("1.1", "1.2"):
    queue.arrived(uid, 1)
    queue.move(uid, "receiving", "received")
    queue.claim("received", "predicting")
queue.predicted("1.1", ["1.1.9"])
queue.claim("predicted", "sending")
queue.mark(["1.1.9"], "sending")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_begun_when_the_program_was_killed_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    queue = Queue(path)
    queue.recover()
    assert (state(queue, "1.1"), state(queue, "1.2")) == ("predicted", "received")
    assert [r.state for r in queue.results("1.1")] == ["sending"]


def test_what_is_wrong_with_a_database_is_told_with_what_helps(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text("no database" * 99)
    with pytest.raises(InputError, match=r"not a database; move it away: it is made anew"):
        Queue(damaged)
    with pytest.raises(InputError, match=r"unable to open .*; make room, or have it writable"):
        Queue(tmp_path)
