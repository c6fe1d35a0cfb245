from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from calcilens.data_manifests.builders.phantoms import build_phantoms
from calcilens.data_manifests.pixels import load_mask, load_stack
from calcilens.data_manifests.schema import plain_rows
from calcilens.errors import UsageError
from calcilens.files import PART
from calcilens.phantoms.ct_patches import PLANES, visible_ct, voxel_box
from calcilens.phantoms.drafts import LESIONS_A_PERSON, MODALITIES, Job, draw_scene, piece_box
from calcilens.phantoms.intact import KEYS, is_there
from calcilens.phantoms.patches import SET, write_patches
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.solids import solids

COUNT = 6


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module", params=MODALITIES)
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A written set."""
    out = tmp_path_factory.mktemp("patches") / request.param
    made = Job(request.param, 3, "usual", out)
    with threadpool_limits(1):
        write_patches(made, COUNT, workers=1)
    return made


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_workers_and_threads(
    job: Job, tmp_path: Path
) -> None:
    again = replace(job, out=tmp_path / "again")
    with threadpool_limits(2):
        write_patches(again, COUNT, workers=3)
    assert digests(job.out) == digests(again.out)
    other = replace(job, out=tmp_path / "other", seed=job.seed + 1)
    write_patches(other, 1, workers=1)
    assert digests(other.out) != digests(job.out)


@pytest.mark.parametrize("damage", [b"", b"null", b"\xff", b"{"])
def test_a_set_that_was_stopped_anywhere_becomes_the_same_set(
    job: Job, tmp_path: Path, damage: bytes
) -> None:
    halted = replace(job, out=tmp_path / "halted")
    write_patches(halted, 3, workers=1)
    (halted.out / "truth" / "000001.json").write_bytes(damage)
    (halted.out / lines(job.out)[1]["image"]).write_bytes(b"half an image")
    (halted.out / "truth" / f"{PART}1-000001.json").write_bytes(b"half a line")
    done: list[int] = []
    write_patches(halted, COUNT, workers=1, advance=done.append)
    assert sum(done) == COUNT
    assert done[0] == 2  # what was whole is kept
    assert digests(halted.out) == digests(job.out)


def test_a_damaged_lesion_is_made_anew_and_all_others_are_kept(job: Job, tmp_path: Path) -> None:
    damaged = replace(job, out=tmp_path / "damaged")
    shutil.copytree(job.out, damaged.out)
    found = lines(job.out)
    with_mask = [line for line in found if line["mask"]]
    image, mask = damaged.out / found[0]["image"], damaged.out / with_mask[-1]["mask"]
    os.truncate(image, 100)
    os.truncate(mask, mask.stat().st_size - 3)
    (damaged.out / found[1]["image"]).unlink()
    (damaged.out / "truth" / "000002.json").write_text("{}\n")
    broken = {0, 1, 2, int(with_mask[-1]["id"])}
    assert [i for i in range(COUNT) if not is_there(damaged, i)] == sorted(broken)
    done: list[int] = []
    write_patches(damaged, COUNT, workers=1, advance=done.append)
    assert (sum(done), done[0]) == (COUNT, COUNT - len(broken))
    assert digests(damaged.out) == digests(job.out)


@pytest.mark.parametrize("key", KEYS)
def test_a_truth_that_lacks_a_key_is_made_anew(job: Job, tmp_path: Path, key: str) -> None:
    damaged = replace(job, out=tmp_path / "damaged")
    shutil.copytree(job.out, damaged.out)
    assert all(is_there(damaged, i) for i in range(COUNT))
    line = lines(job.out)[0]
    del line[key]
    (damaged.out / "truth" / "000000.json").write_text(json.dumps(line))
    assert not is_there(damaged, 0)


def test_a_full_disk_leaves_no_piece_of_a_file(job: Job, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    full = replace(job, out=tmp_path / "full")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # of any one file, in bytes
    try:
        with pytest.raises(OSError, match=r"images/000000\."):
            write_patches(full, COUNT, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(digests(full.out)) == ["set.json"]
    write_patches(full, COUNT, workers=1)
    assert digests(full.out) == digests(job.out)


PROGRAM = """
import sys
from pathlib import Path
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.patches import write_patches
write_patches(Job("ct", 3, "usual", Path(sys.argv[1])), 6000, workers=2)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A program that writes a large set, and the numbers of its two worker processes."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "set")], stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            assert within(60, lambda: len(list((tmp_path / "set").rglob("*.json"))) > 4)
            children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text()
            yield program, [int(child) for child in children.split()]
        finally:
            program.kill()


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def ended(process: int) -> bool:
    """Tell whether a process is gone, or waits for its parent to notice."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
def test_no_worker_outlives_a_killed_program(
    running: tuple[subprocess.Popen[str], list[int]],
) -> None:
    program, workers = running
    assert len(workers) >= 2
    program.kill()
    try:
        assert within(20, lambda: all(map(ended, workers)))
    finally:
        for worker in workers:
            with suppress(OSError):
                os.kill(worker, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
def test_a_killed_worker_is_one_clear_error(
    running: tuple[subprocess.Popen[str], list[int]],
) -> None:
    program, workers = running
    os.kill(workers[0], signal.SIGKILL)
    said = program.communicate(timeout=60)[1].splitlines()[-1]
    assert said.startswith("calcilens.errors.InputError: expected 2 processes that end by themselv")
    assert "run again with fewer --workers" in said


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
@pytest.mark.parametrize("to", ["program", "group"])
def test_ctrl_c_stops_after_the_lesions_in_hand_and_says_so(tmp_path: Path, to: str) -> None:
    out, words = tmp_path / "set", ("patches", "--n", "6000", "--seed", "3", "--workers", "2")
    with subprocess.Popen(
        [sys.executable, "-m", "calcilens.cli", "phantoms", *words, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            assert within(60, lambda: len(list(out.rglob("truth/*.json"))) > 4)
            before = len(list(out.rglob("truth/*.json")))
            signalled = os.kill if to == "program" else os.killpg
            signalled(program.pid, signal.SIGINT)
            said = program.communicate(timeout=60)[1].splitlines()
        finally:
            program.kill()
    assert said == [
        "stopping after the lesions in hand",
        "calcilens: stopped by the user; what was written whole is kept",
    ]
    assert program.returncode == 130
    written = sorted(out.rglob("truth/*.json"))
    assert len(written) <= before + 6  # two in hand, and those done while the signal came
    assert not list(out.rglob(f"{PART}*"))
    job = Job("ct", 3, "usual", out)
    assert all(is_there(job, int(path.stem)) for path in written)


def test_every_lesion_that_is_done_is_told(tmp_path: Path) -> None:
    done: list[int] = []
    write_patches(Job("ct", 3, "usual", tmp_path), 14, workers=2, advance=done.append)
    assert sum(done) == 14
    assert len([n for n in done if n]) > 3  # three persons, whose lesions are told one by one


@pytest.mark.parametrize("change", [{"seed": 4}, {"domain": "unseen"}])
def test_sets_are_not_mixed_in_one_folder(job: Job, change: dict[str, Any]) -> None:
    before = digests(job.out)
    with pytest.raises(UsageError, match="name another --out"):
        write_patches(replace(job, **change), COUNT)
    assert digests(job.out) == before


@pytest.mark.parametrize("content", ["", "{", "null", "[" * 100_000, "\x00"])
def test_a_set_whose_settings_are_damaged_is_left_alone(
    job: Job, tmp_path: Path, content: str
) -> None:
    shutil.copytree(job.out, tmp_path / "damaged")
    (tmp_path / "damaged" / SET).write_text(content)
    before = digests(tmp_path / "damaged")
    with pytest.raises(
        UsageError, match=r"--out, set\.json: expected a JSON object, .*another --out"
    ):
        write_patches(replace(job, out=tmp_path / "damaged"), COUNT)
    assert digests(tmp_path / "damaged") == before


def test_what_is_no_set_is_left_alone(job: Job, tmp_path: Path) -> None:
    shutil.copytree(job.out, tmp_path / "lost")
    (tmp_path / "lost" / SET).unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "truth.jsonl").write_text("of another program")
    before = digests(tmp_path)
    for name in ("lost", "mine"):
        with pytest.raises(UsageError, match=r"found other files and no set\.json; name another"):
            write_patches(replace(job, out=tmp_path / name), COUNT)
    with pytest.raises(
        UsageError, match=r"--out: expected a folder .*, found a file; name another"
    ):
        write_patches(replace(job, out=tmp_path / "mine" / "truth.jsonl"), COUNT)
    assert digests(tmp_path) == before


def test_every_line_agrees_with_its_files(job: Job) -> None:
    manifest = build_phantoms(job.out)
    assert len(manifest) == COUNT
    for line, row in zip(lines(job.out), plain_rows(manifest.frame), strict=True):
        stack, mask = load_stack(manifest, row), load_mask(manifest, row)
        planes = PLANES if job.modality == "ct" else 1
        assert stack.shape[0] == planes
        assert (line["mask"] is None) == (line["finding"] == 0)
        assert bool(line["patterns"]) == bool(line["finding"])
        assert line["concern"] == int(bool(line["concern_reasons"]))
        assert (mask is None) == (line["mask"] is None)
        if mask is not None:
            assert mask.shape == stack.shape
            assert mask[row["key_plane"]].any()
        low, high = np.array(line["box"])
        assert (low[1:] >= 0).all()
        assert (high[1:] <= stack.shape[1:]).all()
        assert low[0] <= line["key_plane"] < high[0]


def test_a_person_has_several_lesions_in_one_part_of_the_body() -> None:
    job = Job("ct", 1, "usual", Path("unused"))
    drafts = [draw_scene(job, n)[0] for n in range(3 * LESIONS_A_PERSON)]
    sites = {(d.person, d.scene.segment.site) for d in drafts}
    assert sorted(person for person, _ in sites) == [0, 1, 2]


def test_modalities_domains_and_seeds_share_no_random_numbers() -> None:
    usual = Job("ct", 1, "usual", Path("unused"))
    others = (replace(usual, modality="radiograph"), replace(usual, domain="unseen"),
              replace(usual, seed=2))  # fmt: skip
    first = {job.rng(0, 0).random() for job in (usual, *others)}
    assert len(first) == 4


def test_mineral_in_the_plane_shown_rises_above_the_noise() -> None:
    job = Job("ct", 2, "unseen", Path("unused"))
    for number in range(8):
        draft, settings, image = visible_ct(job, number)
        if draft.lesion.patterns:
            assert image.contrast_hu[PLANES // 2] > 3 * settings.noise_hu


def test_a_piece_is_what_hangs_together() -> None:
    near, far = [[0, 0, 0], [0, 0, 4.0], [0, 0, 8.0]], [[0, 30.0, 0]]
    parts = solids(np.array(near + far), [1.0], 0.5)
    lesion = Lesion(("rice_grain",), "rice_grain", parts, parts.box())
    boxes = [piece_box(np.random.default_rng(s), lesion).ravel().tolist() for s in range(12)]
    assert [-1, -1, -1, 1, 1, 9] in boxes
    assert [-1, 29, -1, 1, 31, 1] in boxes
    assert len({tuple(box) for box in boxes}) == 2


def test_a_box_in_voxels_holds_the_box_in_mm_and_reaches_beyond_the_planes() -> None:
    box = np.array([[-30.0, 2.2, 3.0], [30.0, 5.1, 9.9]])
    low, high = voxel_box(box, np.zeros(3), (2.0, 0.5, 0.5), (5, 64, 64))
    assert (low, high) == ([-15, 4, 6], [16, 11, 21])
