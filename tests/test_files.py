from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from calcilens.files import usual_mode, whole, write_whole


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
