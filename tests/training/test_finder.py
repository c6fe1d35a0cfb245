from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from calcilens.errors import InputError, UsageError
from calcilens.models.finder_file import load_finder
from calcilens.training.cli import FINDERS, LAST, MODEL_FILE, FinderCLI, recipe_path, train
from calcilens.training.film_data import FilmData, FilmSampler
from calcilens.training.film_draws import CROPS, FilmSample, crops
from calcilens.training.finder_export import choose_threshold, found_and_false
from calcilens.training.finder_loss import cells, finder_loss
from calcilens.training.finder_task import FinderTask
from tests.training.test_cli import STOP

BEST = "best-loss.ckpt"
RECIPES = sorted(path.stem for path in FINDERS.glob("*.yaml"))


def sample(seed: int, shape: tuple[int, int] = (96, 80)) -> FilmSample:
    """A noisy film with one bright square, which is the lesion."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    y, x = rng.integers(8, 50, 2)
    mask[y : y + 20, x : x + 20] = 255
    grey = 20_000 + 1000 * rng.standard_normal(shape) + 20_000 * (mask > 0)
    return FilmSample(grey.astype(np.uint16), mask, seed % 2 == 1)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    lines = []
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(10):
        one, name = sample(number), f"{number:06d}"
        Image.fromarray(one.pixels).save(folder / "images" / f"{name}.png")
        Image.fromarray(one.mask).save(folder / "masks" / f"{name}.png")
        kind = "real" if one.real else "simulated"
        lines.append({"id": name, "background": kind, "mask": "m", "person": 1, "kinds": ["a"]})
    (folder / "truth.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def words(films: Path, out: Path, *more: str) -> list[str]:
    few = ["--data.draws=3", "--data.side=64", "--data.batch_size=4", "--trainer.max_epochs=2"]
    start = ["--model.start=nothing", "--model.frozen=0", "--model.width=8"]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]
    where = [f"--data.films=[{films}]", f"--out={out}"]
    return ["--config", RECIPES[0], *where, *few, *start, *quiet, *more]


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_finder_trains_from_a_folder_of_films_and_goes_on_as_if_not_stopped(
    films: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(words(films, whole), FinderCLI)
    finder = load_finder(whole / MODEL_FILE)
    assert finder.card["training_data"]["films"] == {"simulated": 5, "real": 5}
    assert {"intended_use", "limits", "figures", "patients"} <= finder.card.keys()
    assert torch.load(whole / LAST, weights_only=True)["epoch"] == 1
    with pytest.raises(KeyboardInterrupt):
        train(words(films, parts, STOP), FinderCLI)
    train(words(films, parts, "--ckpt_path", str(parts / LAST)), FinderCLI)
    assert load_finder(parts / MODEL_FILE).sha256 == finder.sha256


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_the_last_checkpoint_is_of_the_last_epoch_also_where_none_got_better(
    films: Path, tmp_path: Path
) -> None:
    train(words(films, tmp_path, "--model.lr=3", "--trainer.max_epochs=4"), FinderCLI)
    epochs = [torch.load(tmp_path / f, weights_only=True)["epoch"] for f in (LAST, BEST)]
    assert epochs[0] == 3 > epochs[1]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_of_a_finder_says_what_only_a_person_can_say(recipe: str) -> None:
    text = json.loads(recipe_path(recipe).with_suffix(".card.json").read_text())
    assert {"intended_use", "input", "training_source", "truth", "limits", "not_shown"} == set(text)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_crops_follow_from_their_seed_and_stay_in_range(seed: int) -> None:
    film = sample(seed % 7, (70 + seed % 50, 60 + seed % 31))
    seen, mask = crops(film, 64, seed)
    again, same = crops(film, 64, seed)
    np.testing.assert_array_equal(seen, again)
    np.testing.assert_array_equal(mask, same)
    assert seen.shape == (CROPS, 2, 64, 64)
    assert mask.shape == (CROPS, 64, 64)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert set(np.unique(mask)) <= {0, 255}


def test_lesion_pixels_stay_brighter_than_the_rest_in_a_crop() -> None:
    bright, dark = [], []
    for seed in range(12):
        seen, mask = crops(sample(3), 64, seed)
        bright += seen[:, 0][mask == 255].tolist()
        dark += seen[:, 0][mask == 0].tolist()
    assert np.median(bright) > np.median(dark) + 0.3


def test_real_films_are_drawn_as_often_as_asked_for() -> None:
    weights = [1.0] * 90 + [6.0] * 10
    sampler = FilmSampler(weights, 1, 1000)
    drawn = [index for index, _ in sampler]
    assert len(drawn) == len(sampler) == 1000
    assert abs(np.mean(np.array(drawn) >= 90) - 0.4) < 0.02
    assert drawn == [index for index, _ in sampler]
    sampler.set_epoch(1)
    assert drawn != [index for index, _ in sampler]


def test_few_films_suffice_for_many_draws_and_the_other_way_round() -> None:
    assert {index for index, _ in FilmSampler([1.0] * 3, 0, 50)} == {0, 1, 2}
    assert len(list(FilmSampler([1.0] * 50, 0, 3))) == 3


def test_cells_near_a_lesion_and_unsure_ones_teach_nothing() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 20:32, 20:32] = 255
    mask[0, 48:56, 48:56] = 128
    lesion, clear = cells(mask)
    assert lesion.sum() == 9
    assert not (lesion & clear).any()
    assert not clear[0, 0, 3:10, 3:10].any()
    assert not clear[0, 0, 10:16, 10:16].any()
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    finder_loss(logits, mask).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[~lesion & ~clear] == 0).all()
    assert (logits.grad[lesion] <= 0).all()
    assert (logits.grad[lesion] < 0).sum() == 5  # the harder half


def test_the_loss_falls_where_the_map_is_right_and_counts_hard_cells() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 16:32, 16:32] = 255
    lesion, _ = cells(mask)
    right = torch.where(lesion, 6.0, -6.0)
    wrong = right.clone()
    wrong[0, 0, 12, 12] = 6.0
    assert finder_loss(right, mask) < 0.01 < finder_loss(wrong, mask) < finder_loss(-right, mask)
    assert torch.isfinite(finder_loss(right, torch.zeros_like(mask)))


@pytest.mark.slow
def test_a_small_finder_learns_to_see_a_bright_square() -> None:
    torch.manual_seed(0)
    task = FinderTask(8, "nothing")
    optimiser = torch.optim.Adam(task.network.parameters(), 3e-3)
    losses = []
    for step in range(40):
        film, mask = (torch.from_numpy(a) for a in crops(sample(step % 5), 64, step))
        loss = finder_loss(task.network.train()(film), mask)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_frozen_stages_do_not_learn() -> None:
    task = FinderTask(8, "nothing", frozen=2)
    fixed = [p for p in task.network.encoder.parameters() if not p.requires_grad]
    assert fixed
    assert all(p.requires_grad for p in FinderTask(8, "nothing").network.parameters())
    film, mask = (torch.from_numpy(a) for a in crops(sample(0), 64, 0))
    finder_loss(task.network(film), mask).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in fixed)


def test_places_are_counted_against_the_mask() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[8:24, 8:24] = 255
    mask[40:56, 40:56] = 128
    heat = np.zeros((16, 16), np.float32)
    heat[3:6, 3:6] = 0.9
    assert found_and_false([(heat, mask)], 0.5) == (1, 0, 1)
    heat[11:13, 11:13] = 0.9  # on what nobody can tell
    assert found_and_false([(heat, mask)], 0.5) == (1, 0, 1)
    heat[2:4, 12:15] = 0.8
    assert found_and_false([(heat, mask)], 0.5) == (1, 1, 1)
    assert found_and_false([(heat * 0, mask)], 0.5) == (0, 0, 1)


def test_the_threshold_is_the_lowest_with_few_false_places() -> None:
    class Map(torch.nn.Module):
        def forward(self, film: torch.Tensor) -> torch.Tensor:
            out = torch.full((1, 1, 24, 20), -9.0)
            out[0, 0, 2:4, 2:4] = torch.logit(torch.tensor(0.6))
            out[0, 0, 12:14, 12:14] = torch.logit(torch.tensor(0.8))
            return out

    mask = np.zeros((96, 80), np.uint8)
    mask[48:56, 48:56] = 255
    film = FilmSample(np.arange(96 * 80, dtype=np.uint16).reshape(96, 80), mask, real=False)
    threshold, figures = choose_threshold(Map(), [film])  # type: ignore[arg-type]
    assert 0.6 < threshold <= 0.64
    assert figures == {"films": 1, "lesions": 1, "recall": 1.0, "false_a_film": 0.0}


@pytest.mark.parametrize("wrong", [{"batch_size": 6}, {"side": 70}, {"real_share": 1.0}])
def test_settings_that_cannot_be_used_are_refused(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data: expected crops in multiples of 4"):
        FilmData([tmp_path], **wrong)


@pytest.mark.parametrize("text", [None, "", "{", '{"id": "x"}\n', "[1]\n"])
def test_a_folder_without_films_is_one_line(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "truth.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"--data\.films: expected a set of films") as said:
        FilmData([tmp_path]).setup("fit")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("given", "named"),
    [([], "data.films"), (["--films=x"], "films"), (["--data.draws=x"], "draws")],
)
def test_settings_that_cannot_be_used_are_one_line(
    given: list[str], named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=rf"expected settings that can be used, .*{named}") as said:
        train(["--config", RECIPES[0], *given], FinderCLI)
    assert "\n" not in str(said.value)
    assert "fit" not in str(said.value)
    assert len(capfd.readouterr().err.splitlines()) == 0
