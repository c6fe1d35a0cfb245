"""A PostgreSQL of our own in a temporary folder, out of reach of the network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IN_CI = bool(os.environ.get("CALCILENS_CI"))
_PLACES = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Return the folder of its programs, of the newest version there; Debian hides it from PATH."""
    found = sorted(_PLACES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    there = found[-1] if found else shutil.which("initdb")
    return None if there is None else Path(there).parent


@contextmanager
def postgresql(programs: Path) -> Iterator[str]:
    """Run a server on a socket in a short-named folder; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        _own(folder)
        data = str(folder / "data")
        _run([str(programs / "initdb"), "-D", data, "-U", "calcilens", "-A", "trust", "-E", "UTF8"])
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start = [str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
        _run([*start, "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://calcilens@/postgres?host={folder}"
        finally:
            _run([*start, "-m", "immediate", "stop"])


def _own(folder: Path) -> None:
    """Let the server's user write there: it refuses to run as root."""
    if os.geteuid() == 0:
        user = _user()
        os.chown(folder, user.pw_uid, user.pw_gid)


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _run(words: Sequence[str]) -> None:
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = _user()
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", **who
    )
    if done.returncode:
        raise AssertionError(f"{words[0]}: {done.stderr[-500:]}")
