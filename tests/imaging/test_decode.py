"""Codecs and worker processes: the same pixels or a reason, never a guess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames

from calcilens.errors import PixelError
from calcilens.imaging.codestream import check_stream
from calcilens.imaging.study import read_study
from tests import dicom_factory as factory

CODECS = [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.RLELossless]
SHAPE = (4, 64, 64)


def smooth_noise(shape: tuple[int, ...]) -> np.ndarray:
    """Stored values that compress like an image: a gradient with noise."""
    noise = np.random.default_rng(0).integers(0, 60, shape)
    return (noise + 20 * np.arange(shape[-1]) + 1000).astype(np.uint16)


def series(folder: Path, syntax: str) -> Path:
    objects = factory.ct_slices(smooth_noise(SHAPE))
    for ds in objects:
        ds.compress(syntax, generate_instance_uid=False)
    return factory.save_all(objects, folder)


@pytest.mark.parametrize("syntax", CODECS)
def test_a_stream_that_is_cut_short_is_refused_not_filled_up(
    syntax: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (ds,) = factory.ct_slices(smooth_noise((1, 64, 64)))
    ds.compress(syntax, generate_instance_uid=False)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    for length in (10, len(frame) // 2, len(frame) * 95 // 100):
        ds.PixelData = encapsulate([frame[:length]])
        study = read_study(factory.save(ds, tmp_path / "cut.dcm"))
        assert study.images == ()
        assert study.skipped[0].what == "cut.dcm"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", CODECS)
def test_a_file_that_ends_within_its_pixels_is_refused(syntax: str, tmp_path: Path) -> None:
    folder = series(tmp_path, syntax)
    file = folder / "000.dcm"
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 4])
    study = read_study(folder)
    assert study.series[0].shape == (3, 64, 64)
    assert study.skipped[0].what == "000.dcm"


@pytest.mark.parametrize("syntax", CODECS[:2])
def test_a_stream_of_another_size_is_refused(syntax: str, tmp_path: Path) -> None:
    (ds,) = factory.ct_slices(smooth_noise((1, 64, 48)))
    ds.compress(syntax, generate_instance_uid=False)
    ds.Rows, ds.Columns = 48, 64  # the same number of pixels
    study = read_study(factory.save(ds, tmp_path / "turned.dcm"))
    assert "expected 48 x 64 pixels, found a stream of 64 x 48" in study.skipped[0].reason


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(PixelError, match="expected a compressed frame, found no bytes"):
        check_stream(b"", uid.RLELossless, 1, 1)


@pytest.mark.parametrize("syntax", CODECS)
def test_worker_processes_read_the_same_as_this_process(syntax: str, tmp_path: Path) -> None:
    folder = series(tmp_path, syntax)
    bad = folder / "003.dcm"
    bad.write_bytes(bad.read_bytes()[:-600])
    calls: list[tuple[int, int]] = []
    alone = read_study(folder, workers=0)
    together = read_study(folder, workers=2, progress=lambda n, total: calls.append((n, total)))
    np.testing.assert_array_equal(alone.images[0].hu, together.images[0].hu)  # type: ignore[union-attr]
    assert alone.skipped == together.skipped
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_crash_of_a_decoder_costs_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker module is shadowed by one that dies on one frame."""
    folder = series(tmp_path / "in", uid.RLELossless)
    shadow = tmp_path / "sitecustomize.py"
    shadow.write_text(
        textwrap.dedent(
            """
            import os
            import calcilens.imaging.decode as module
            real = module.decode
            def decode(source):
                if source.path.endswith("000.dcm"):
                    os._exit(139)
                return real(source)
            module.decode = decode
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    study = read_study(folder, workers=2)
    assert study.series[0].shape == (3, 64, 64)
    assert study.skipped[0].reason == "the decoder crashed on this image"


def test_a_script_without_a_main_guard_may_use_worker_processes(tmp_path: Path) -> None:
    series(tmp_path / "in", uid.RLELossless)
    script = tmp_path / "script.py"
    script.write_text(
        "from calcilens.imaging.study import read_study\n"
        "print(read_study('in', workers=2).series[0].shape)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("(4, 64, 64)\n", "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to look for processes")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(end: signal.Signals, tmp_path: Path) -> None:
    series(tmp_path / "in", uid.RLELossless)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import time
            from calcilens.imaging.study import read_study
            def wait(done, total):
                if not done:
                    return
                print("started", flush=True)
                time.sleep(60)
            read_study("in", workers=2, progress=wait)
            """
        )
    )
    parent = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        workers = _children(parent.pid)
        assert len(workers) == 2
        parent.send_signal(end)
        deadline = time.monotonic() + 20
        while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [pid for pid in workers if _alive(pid)]
        parent.kill()
    assert left == []


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
