from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calcilens.phantoms import sheet
from calcilens.phantoms.drafts import MODALITIES, Job, draw_scene
from calcilens.phantoms.sheet import Example, examples, kinds, write_sheet
from calcilens.vocabulary import PATTERN_KEYS

FEW = {"diffuse": "Diffuse", "metal": "no calcification: metal"}


def test_a_sheet_shows_every_pattern_and_mimic() -> None:
    assert set(PATTERN_KEYS) < set(kinds())
    assert len(set(kinds().values())) == len(kinds())


def test_examples_are_the_first_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "kinds", lambda: FEW)
    monkeypatch.setattr(sheet, "EXAMPLES", 2)
    job = Job("ct", 0, "usual", Path("unused"))
    found = examples(job)
    assert {kind: len(numbers) for kind, numbers in found.items()} == dict.fromkeys(FEW, 2)
    for kind, numbers in found.items():
        assert numbers == sorted(numbers)
        assert {draw_scene(job, n)[0].names for n in numbers} == {(kind,)}


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_sheet_is_the_same_for_the_same_seed(
    modality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "kinds", lambda: FEW)
    monkeypatch.setattr(sheet, "EXAMPLES", 1)
    rows: list[int] = []
    for name in ("a.png", "b.png"):
        write_sheet(Job(modality, 1, "usual", tmp_path), tmp_path / name, advance=rows.append)
    assert sum(rows) == 2 * len(FEW)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    box = (picture == sheet._COLOURS[sheet._BOX]).all(-1)
    assert box.any()  # the box is drawn


def test_the_box_is_drawn_around_the_lesion_and_the_bar_is_as_long_as_it_says() -> None:
    grey = np.zeros((200, 200), np.float32)
    grey[90:110, 80:120] = 1.0
    shown = Example(grey, np.array([[90, 80], [110, 120]]), 0.4)
    tile = np.asarray(sheet._tile(shown))
    zoom = 80 / sheet.TILE_PX  # a tile is twice as wide as the longest side
    rows, columns = np.nonzero(tile == sheet._BOX)
    bright = np.argwhere(tile == sheet._GREYS - 1)
    assert rows.min() < bright[:, 0].min() <= bright[:, 0].max() < rows.max()
    assert columns.min() < bright[:, 1].min() <= bright[:, 1].max() < columns.max()
    bar = np.nonzero(tile == sheet._SCALE)[1]
    assert np.ptp(bar) * zoom * shown.pixel_mm == pytest.approx(sheet.SCALE_MM, abs=0.4)
