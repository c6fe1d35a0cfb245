"""Debian's Orthanc with its DICOMweb plug-in, in a network of its own that knows only itself."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of Linux."""
IN_CI = bool(os.environ.get("CALCILENS_CI"))
DIMSE, HTTP, MOVE = 4242, 8042, 11113
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and what it starts, into a network that has nothing but loopback.

    Orthanc 1.10 binds every address; here nobody else can reach it, and it reaches nobody.
    """
    system = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if system.unshare(_NEW_NETWORK):
            why = "no right to make a network namespace: these tests need root on Linux"
            pytest.fail(why) if IN_CI else pytest.skip(why)
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            system.setns(home, _NEW_NETWORK)
    finally:
        os.close(home)


@dataclass
class Orthanc:
    """A running archive."""

    url: str = f"http://127.0.0.1:{HTTP}"
    dimse: str = f"ORTHANC@127.0.0.1:{DIMSE}"

    @property
    def web(self) -> str:
        return f"{self.url}/dicom-web"

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def objects(self) -> dict[str, bytes]:
        """Return the bytes of everything that it holds, by SOP instance UID."""
        found = {}
        for one in self.ask("/instances?expand"):
            with urllib.request.urlopen(f"{self.url}/instances/{one['ID']}/file") as answer:  # noqa: S310
                uid = one["MainDicomTags"]["SOPInstanceUID"]
                if uid in found:
                    raise AssertionError(f"held twice: {uid}")
                found[uid] = answer.read()
        return found


def why_not() -> str | None:
    """Return what is missing for these tests; in CI they run whatever it is."""
    if IN_CI:
        return None
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid():
        return "they need root, for a network namespace"
    missing = [p for p in ("Orthanc", "ip") if shutil.which(p) is None]
    if not Path(PLUGIN).exists():
        missing.append("orthanc-dicomweb")
    return f"missing: {', '.join(missing)}; see .ci/run" if missing else None


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    """Give an archive that ends, with all it holds, at the end of the block."""
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [PLUGIN],
        "DicomAet": "ORTHANC",
        "DicomPort": DIMSE,
        "HttpPort": HTTP,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"us": ["CALCILENS", "127.0.0.1", MOVE]},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log
        )
        try:
            yield _ready(process, folder / "orthanc.log")
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path) -> Orthanc:
    archive = Orthanc()
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            archive.ask("/dicom-web/studies")
        except OSError:
            time.sleep(0.1)
        else:
            return archive
    raise AssertionError(f"Orthanc did not start:\n{log.read_text()[-3000:]}")
