from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from calcilens.files import PART, files_whole, part_folder, usual_mode, whole, write_whole


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def cut_off() -> None:
        with whole(path) as part:
            part.write_bytes(b"ne")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.json'"):
        cut_off()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]


def names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_files_come_into_a_folder_all_or_none(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"

    def write(failing: bool) -> None:
        with files_whole(out) as part:
            (part / "plots").mkdir()
            write_whole(part / "plots" / "a.svg", b"new")
            if failing:
                raise OSError(errno.ENOSPC, "No space left on device", str(part / "page.html"))
            write_whole(part / "page.html", b"new")

    with pytest.raises(OSError, match=r"No space left on device: '.*/deep/out/page\.html'"):
        write(failing=True)
    assert not out.exists()
    write_whole(tmp_path / "deep" / "mine", b"mine")
    write(failing=False)
    write_whole(out / "mine.txt", b"mine")
    with pytest.raises(OSError, match="No space"):
        write(failing=True)
    write(failing=False)
    assert names(out) == {"plots/a.svg", "page.html", "mine.txt"}
    assert [p.name for p in out.iterdir() if p.name.startswith(PART)] == []


PROGRAM = """
import sys, time
from pathlib import Path
from calcilens.files import part_folder
with part_folder(Path(sys.argv[1]), "out") as part:
    (part / "file").touch()
    print(part, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks of this kind")
def test_what_a_killed_program_left_is_removed_and_what_a_running_one_writes_is_not(
    tmp_path: Path,
) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    (tmp_path / f"{PART}mine-other").mkdir()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            left = Path(program.stdout.readline().strip())
            with part_folder(tmp_path, "out") as mine:
                assert left.is_dir()
                assert mine != left
        finally:
            program.kill()
    assert (left / "file").exists()
    with part_folder(tmp_path, "out"):
        assert not left.exists()
    assert [p.name for p in tmp_path.iterdir()] == [f"{PART}mine-other"]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"]
    assert modes == [usual_mode(0o666)] * 2
    mask = os.umask(0o077)
    try:
        assert usual_mode(0o777) == 0o700
    finally:
        os.umask(mask)
