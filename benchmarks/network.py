"""Objects over the network: Calcilens beside dcmtk, in turn; medians. Run as root on Linux:

python benchmarks/network.py [--planes 300] [--rounds 5]

A made CT of 512 x 512 pixels goes over loopback, in a network of its own that knows nothing else.

- receive: dcmtk's storescu sends to the receiver of `calcilens listen`, or to dcmtk's storescp;
- push: to dcmtk's storescp, or to Debian's Orthanc; pull: from that Orthanc.

Calcilens keeps what it takes for good (fsync) and checks each object; the other programs do not.
dcmtk's programs are started each time, which takes some hundredths of a second. "floor" is reading
and writing the same files.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calcilens.inference.network.address import parse_address
from calcilens.inference.network.archive import Node, open_archive
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.pull import Pull
from calcilens.inference.network.queue import Queue
from calcilens.inference.network.receiver import Limits, Place, Receiver
from calcilens.inference.network.spool import Spool
from tests import dicom_factory as factory
from tests.inference.network.orthanc import DIMSE, Orthanc, own_network, running

RECEIVER, STORESCP = 11112, 11113
LOCAL = ("127.0.0.1",)


@dataclass(frozen=True)
class Bench:
    """A study, a place to work in, and an archive.

    Args:
        work: Emptied before each measurement.
    """

    source: Path
    files: list[ObjectFile]
    work: Path
    archive: Orthanc

    @property
    def megabytes(self) -> float:
        return sum(file.path.stat().st_size for file in self.files) / 1e6

    def storescu(self, port: int, title: str) -> None:
        ran("storescu", "-aec", title, *LOCAL, str(port), "+sd", str(self.source))

    def send(self, address: str) -> None:
        with open_archive(parse_address(address), Node()) as archive:
            refused = archive.send(self.files, lambda file: None)
        if refused:
            raise RuntimeError(f"expected no refusal, found {len(refused)}")

    def pull(self, address: str) -> None:
        node = Node()
        with open_archive(parse_address(address), node) as archive:
            pull = Pull(archive, self.work, node.patience, tell=print)
            pull.fetch(self.files[0].instance.study_uid)

    def getscu(self) -> None:
        study = f"StudyInstanceUID={self.files[0].instance.study_uid}"
        ran("getscu", "-S", "-od", str(self.work), "-aec", "ORTHANC", *LOCAL, str(DIMSE),
            "-k", "QueryRetrieveLevel=STUDY", "-k", study)  # fmt: skip

    def copy(self) -> None:
        for file in self.files:
            (self.work / file.path.name).write_bytes(file.path.read_bytes())

    def empty(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()

    def forget(self) -> None:
        """Let the archive hold nothing, so that it takes all anew."""
        for study in self.archive.ask("/studies"):
            url = f"{self.archive.url}/studies/{study}"
            asked = urllib.request.Request(url, method="DELETE")  # noqa: S310
            urllib.request.urlopen(asked).close()  # noqa: S310


def ran(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def receive(root: Path) -> None:
    """Be the receiver of `calcilens listen`."""
    spool = Spool(root)
    place = Place("CALCILENS", "127.0.0.1", RECEIVER)
    with Receiver(spool, Queue(spool.queue), Limits(reserve_bytes=0), print).serving(place):
        time.sleep(3600)


@contextmanager
def receiver(root: Path) -> Iterator[None]:
    process = multiprocessing.get_context("fork").Process(target=receive, args=(root,))
    process.start()
    try:
        answers(RECEIVER)
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def storescp(folder: Path) -> Iterator[None]:
    process = subprocess.Popen(["storescp", "--quiet", "-od", str(folder), str(STORESCP)])
    try:
        answers(STORESCP)
        yield
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens at port {port}")


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_round(bench: Bench) -> Iterator[tuple[str, float]]:
    """Measure everything once: name and seconds."""
    bench.empty()
    yield "floor", timed(bench.copy)
    bench.empty()
    with receiver(bench.work / "spool"):
        yield "receive, calcilens", timed(lambda: bench.storescu(RECEIVER, "CALCILENS"))
    bench.empty()
    with storescp(bench.work):
        yield "receive, storescp", timed(lambda: bench.storescu(STORESCP, "ANY"))
        yield (
            "push to storescp, calcilens",
            timed(lambda: bench.send(f"ANY@127.0.0.1:{STORESCP}")),
        )
        yield "push to storescp, storescu", timed(lambda: bench.storescu(STORESCP, "ANY"))
    archive = bench.archive
    pushes = {
        "calcilens DIMSE": lambda: bench.send(archive.dimse),
        "calcilens DICOMweb": lambda: bench.send(archive.web),
        "storescu": lambda: bench.storescu(DIMSE, "ORTHANC"),
    }
    for name, push in pushes.items():
        bench.forget()
        yield f"push to Orthanc, {name}", timed(push)
    pulls = {
        "calcilens DIMSE": lambda: bench.pull(archive.dimse),
        "calcilens DICOMweb": lambda: bench.pull(archive.web),
        "getscu": bench.getscu,
    }
    for name, pull in pulls.items():
        bench.empty()
        yield f"pull from Orthanc, {name}", timed(pull)
        came = sum(1 for path in bench.work.rglob("*") if path.is_file())
        if came != len(bench.files):
            raise RuntimeError(f"{name}: expected {len(bench.files)} objects, found {came}")


def study(folder: Path, planes: int) -> list[ObjectFile]:
    noise = np.random.default_rng(1).integers(0, 2000, (planes, 512, 512)).astype(np.uint16)
    for number, ds in enumerate(factory.ct_slices(noise)):
        factory.save(ds, folder / f"{number:03d}.dcm")
    return find_objects([folder])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, own_network():
        folder = Path(name)
        (folder / "orthanc").mkdir()
        files = study(folder / "in", wanted.planes)
        with running(folder / "orthanc") as archive:
            bench = Bench(folder / "in", files, folder / "work", archive)
            for _ in range(wanted.rounds):
                for label, seconds in one_round(bench):
                    times.setdefault(label, []).append(seconds)
            count, size = len(files), bench.megabytes
    print(f"{count} objects, {size:.0f} MB, {os.cpu_count()} cores, {wanted.rounds} rounds")
    for label, taken in times.items():
        median = statistics.median(taken)
        print(f"{label}: {median:.2f} s, {count / median:.0f} objects/s, {size / median:.0f} MB/s")


if __name__ == "__main__":
    main()
