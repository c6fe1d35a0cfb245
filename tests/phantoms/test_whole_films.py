"""Whole films: the mask is the lesions' and nothing else, and the set goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.errors import UsageError
from calcilens.imaging.films import LONGEST_PX
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.patches import write_patches
from calcilens.phantoms.patterns import MIMIC_KINDS
from calcilens.phantoms.whole_films import LEAST_SEEN, LESION, UNSURE, simulated, transplanted
from tests.dicom_factory import radiograph, save


def job(out: Path, backgrounds: Path | None = None) -> Job:
    return Job("radiograph", 4, "usual", out, backgrounds, whole=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of a thigh."""
    y, x = np.indices((1300, 700))
    body = 3000 * np.exp(-(((x - 350) / 220.0) ** 8)) + 700 * (np.abs(x - 350) < 50)
    noise = np.random.default_rng(1).normal(0, 25, body.shape)
    stored = np.clip(300 + body + 0.2 * y + noise, 0, 4095).astype(np.uint16)
    made = tmp_path_factory.mktemp("films")
    save(radiograph(stored), made / "a.dcm")
    return made


def test_a_film_shows_what_its_line_says(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for number in range(10):
        made = simulated(job(tmp_path), number)
        kinds |= set(made.told["kinds"])
        assert made.pixels.shape == made.mask.shape
        assert max(made.mask.shape) <= LONGEST_PX
        assert set(np.unique(made.mask)) <= {0, UNSURE, LESION}
        mimics = [kind in MIMIC_KINDS for kind in made.told["kinds"]]
        seen = [v >= LEAST_SEEN for v in made.told["visible"]]
        if all(mimics):
            assert not made.mask.any()
        if not any(s and not m for s, m in zip(seen, mimics, strict=True)):
            assert not (made.mask == LESION).any()
    assert len(kinds - set(MIMIC_KINDS)) >= 4
    assert kinds & set(MIMIC_KINDS)


def test_lesions_that_can_be_seen_stand_out_from_what_is_around_them(tmp_path: Path) -> None:
    brighter = []
    for number in range(10):
        made = simulated(job(tmp_path), number)
        parts, count = ndimage.label(made.mask == LESION)
        for i in range(1, count + 1):
            part = parts == i
            ring = ndimage.binary_dilation(part, iterations=8) & (made.mask == 0)
            if part.sum() >= 50 and ring.any():
                brighter.append(np.mean(made.pixels[part]) > np.mean(made.pixels[ring]))
    assert len(brighter) >= 5
    assert np.mean(brighter) >= 0.8


def test_a_real_film_changes_only_where_lesions_are(folder: Path, tmp_path: Path) -> None:
    films = [transplanted(job(tmp_path, folder), number) for number in range(6)]
    assert {made.mask.shape for made in films} == {(LONGEST_PX, 551)}
    plain = next(made for made in films if not made.mask.any())
    for made in films:
        added = made.pixels.astype(float) - plain.pixels
        assert np.abs(added[~ndimage.binary_dilation(made.mask > 0, iterations=40)]).max() <= 400
        if (made.mask == LESION).any():
            assert np.median(added[made.mask == LESION]) > 0


def test_a_stopped_set_goes_on_to_the_same_and_takes_no_patches(tmp_path: Path) -> None:
    write_patches(job(tmp_path / "a"), 3, workers=1)
    write_patches(job(tmp_path / "b"), 2, workers=1)
    write_patches(job(tmp_path / "b"), 3, workers=1)
    first, second = ((tmp_path / n / "truth.jsonl").read_bytes() for n in "ab")
    assert first == second
    for line in map(json.loads, first.splitlines()):
        for name in (line["image"], line["mask"]):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with pytest.raises(UsageError, match=r"whole radiographs, as in set\.json there"):
        write_patches(Job("radiograph", 4, "usual", tmp_path / "a"), 1, workers=1)


def test_the_command_writes_a_set(tmp_path: Path) -> None:
    words = ["phantoms", "films", "--out", str(tmp_path / "set"), "--n", "1", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["films"] == 1
    assert (tmp_path / "set" / "masks" / "000000.png").is_file()
