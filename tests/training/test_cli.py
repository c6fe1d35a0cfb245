from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.commands.console import guarded
from calcilens.errors import LeakageError, ModelError, UsageError
from calcilens.models.loading import load_model
from calcilens.training.cli import LAST, MODEL_FILE, recipe_path, recipes, train
from calcilens.training.export import card_text
from tests.models.test_loading import Bomb
from tests.training.made import brief, saved, stacks

pytestmark = pytest.mark.usefixtures("alone")
CALCILENS = [sys.executable, "-m", "calcilens.cli"]


class StopInSecondEpoch(Callback):
    """What Ctrl-C does."""

    def on_train_batch_start(self, trainer: object, _: object, batch: object, index: int) -> None:
        if getattr(trainer, "current_epoch", 0) == 1 and index == 1:
            raise KeyboardInterrupt


STOP = "--trainer.callbacks+=tests.training.test_cli.StopInSecondEpoch"


@pytest.fixture(scope="module")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of two epochs that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    handler = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["calcilens"])
        train(brief("lidc-ct", manifest, out, "--trainer.max_epochs=2"))
    signal.signal(signal.SIGINT, handler)
    return out


def in_process(words: Sequence[str]) -> int:
    return guarded(lambda: app(list(words)))


def test_a_run_leaves_model_card_logs_checkpoints_and_settings(whole: Path) -> None:
    model = load_model(whole / MODEL_FILE)
    assert model.card["modality"] == "CT"
    header = (whole / "csv" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/loss", "val/loss", "epoch", "step"} <= set(header)
    assert (whole / "csv" / "config.yaml").is_file()
    assert list((whole / "tensorboard").glob("events*"))
    assert {path.name for path in whole.glob("*.ckpt")} == {LAST, "best-loss.ckpt"}


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(
    manifest: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = brief("lidc-ct", manifest, tmp_path, "--trainer.max_epochs=2")
    with pytest.raises(KeyboardInterrupt):
        train([*words, STOP])
    assert f"stopped in epoch 2; to go on, add --ckpt_path {tmp_path / LAST}" in caplog.text
    assert not (tmp_path / MODEL_FILE).exists()
    train([*words, "--ckpt_path", str(tmp_path / LAST)])
    figures = [(tmp_path / name / "metrics.csv").read_text() for name in ("csv", "csv-2")]
    assert all(len(text.splitlines()) >= 2 for text in figures)  # both parts are kept
    resumed, wanted = (load_file(folder / MODEL_FILE) for folder in (tmp_path, whole))
    assert [name for name in wanted if not torch.equal(resumed[name], wanted[name])] == []
    states = [torch.load(f / LAST, weights_only=True) for f in (tmp_path, whole)]
    current = [state["current_model_state"] for state in states]
    assert all(torch.equal(current[0][name], current[1][name]) for name in current[1])


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_going_on_with_another_length_is_refused(
    manifest: Path, whole: Path, tmp_path: Path
) -> None:
    words = brief("lidc-ct", manifest, tmp_path, "--trainer.max_epochs=3")
    with pytest.raises(UsageError, match=r"expected the 8 steps.*found 12"):
        train([*words, "--ckpt_path", str(whole / LAST)])


def test_another_seed_gives_another_model(manifest: Path, whole: Path, tmp_path: Path) -> None:
    train(brief("lidc-ct", manifest, tmp_path, "--trainer.max_epochs=2", "--seed_everything=1"))
    assert load_model(tmp_path / MODEL_FILE).sha256 != load_model(whole / MODEL_FILE).sha256


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_trains(recipe: str, manifest: Path, tmp_path: Path) -> None:
    small = dict.fromkeys(("size", "lesion_px", "context_px"), 32)
    words = brief(recipe, manifest, tmp_path, "--trainer.max_epochs=1")
    words = [word for word in words if not word.startswith("--model.network")]
    words += [f"--model.network.{name}={size}" for name, size in small.items()]
    train([*words, "--trainer.limit_train_batches=2"])
    model = load_model(tmp_path / MODEL_FILE)
    stated = yaml.safe_load(recipe_path(recipe).read_text())["model"]
    assert model.card["modality"] == stated["modality"]
    assert model.card["network"] == stated["network"] | small


@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_leaves_device_and_precision_to_the_user(recipe: str) -> None:
    stated = yaml.safe_load(recipe_path(recipe).read_text())
    assert stated["trainer"]["use_distributed_sampler"] is False
    assert not {"precision", "devices", "accelerator"} & stated["trainer"].keys()


def test_what_a_person_says_of_our_models_is_complete() -> None:
    known = card_text(recipe_path("lidc-ct")).keys()
    for recipe in ("calcilens-ct", "calcilens-radiograph"):
        text = card_text(recipe_path(recipe))
        assert text.keys() == known
        assert "simulated lesions alone" in " ".join(text["limits"])


def test_a_logger_of_the_user_comes_beside_ours(manifest: Path, tmp_path: Path) -> None:
    theirs = {"class_path": "CSVLogger", "init_args": {"save_dir": str(tmp_path / "theirs")}}
    words = brief("lidc-ct", manifest, tmp_path / "run", "--trainer.max_epochs=1")
    train([*words, "--trainer.limit_train_batches=1", f"--trainer.logger={json.dumps(theirs)}"])
    assert list((tmp_path / "theirs").rglob("metrics.csv"))
    assert (tmp_path / "run" / "csv" / "metrics.csv").is_file()


def test_a_manifest_that_leaks_is_refused(tmp_path: Path) -> None:
    made = stacks(tmp_path, 12)
    made.frame["patient_key"] = "a" * 16
    path = saved(made, tmp_path / "m.parquet")
    with pytest.raises(LeakageError, match="same patient"):
        train(brief("ct", path, tmp_path / "run", "--trainer.max_epochs=1"))
    assert not (tmp_path / "run" / MODEL_FILE).exists()


def test_a_pickle_in_a_checkpoint_does_not_run(manifest: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    torch.save({"state_dict": {}, "x": Bomb(trace)}, tmp_path / "evil.ckpt")
    words = brief("ct", manifest, tmp_path / "run", "--trainer.max_epochs=1")
    with pytest.raises(ModelError, match="--ckpt_path: expected a checkpoint of plain tensors"):
        train([*words, "--ckpt_path", str(tmp_path / "evil.ckpt")])
    with pytest.raises(ModelError, match="plain tensors"):  # whatever else is asked for
        train([*words, "--weights_only=false", "--ckpt_path", str(tmp_path / "evil.ckpt")])
    assert not trace.exists()


def test_short_help_names_every_recipe_and_real_options() -> None:
    said = CliRunner().invoke(app, ["train", "--help"]).stdout
    assert all(name in said for name in recipes())
    assert "--help-all" in said
    options = {word for word in said.split() if word.startswith(("--data.", "--trainer."))}
    missing = [o for o in options if o.removeprefix("--") not in shown_settings()]
    assert missing == []


def shown_settings() -> str:
    """Every setting of fit, as dotted names."""
    from lightning.pytorch import Trainer

    from calcilens.training.datamodule import LesionData

    names = {"data": LesionData.__init__, "trainer": Trainer.__init__}
    return " ".join(f"{k}.{a}" for k, f in names.items() for a in f.__annotations__)


@pytest.mark.parametrize("name", ["no-such-recipe", "missing.yaml"])
def test_an_unknown_recipe_names_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"one of calcilens-ct, .*lidc-ct, radiograph, found '"):
        recipe_path(name)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--config", "ct", "--data.manifest", "none.parquet"], 1, "no such file"),
        (["--config", "no-such-recipe"], 2, "no-such-recipe"),
        (["--config"], 2, "--config"),
        (["--config", "bad.yaml", "--data.manifest", "m.parquet"], 2, "bad.yaml"),
        (["--config", "odd.yaml", "--data.manifest", "m.parquet"], 2, "no_such_key"),
        (["--config", "ct", "--data.manifst", "m.parquet"], 2, "data.manifst"),
        (["--config", "ct"], 2, "manifest"),
        (["--config", "ct", "--data.manifest", "m.csv", "--ckpt_path", "no.ckpt"], 1, "m.csv"),
        (["--config", "ct", "--data.manifest", "{m}", "--trainer.max_epochs=-1"], 2, "max_epochs"),
        (["--config", "ct", "--data.manifest", "{m}", "--ckpt_path", "no.ckpt"], 1, "no.ckpt"),
        (["--config", "ct", "--data.manifest", "{m}", "--model.network={a: 1}"], 2, "network"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_a_line_that_says_what(
    words: list[str],
    code: int,
    said: str,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("model: [unclosed\n")
    Path("odd.yaml").write_text("no_such_key: 1\n")
    named = [word.replace("{m}", str(manifest)) for word in words]
    assert in_process(["train", *named, "--model.imagenet=false", "--out", "run"]) == code
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert "fault of the program" not in err
    assert said in err.strip().splitlines()[-1]


@pytest.mark.slow
def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(manifest: Path, tmp_path: Path) -> None:
    words = brief("lidc-ct", manifest, tmp_path / "run", "--trainer.max_epochs=500")
    command = [*CALCILENS, "train", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not (tmp_path / "run" / LAST).is_file() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    said = (out + err).decode()
    assert process.returncode == 130
    assert f"--ckpt_path {tmp_path / 'run' / LAST}" in said
    assert "Traceback" not in said
    assert torch.load(tmp_path / "run" / LAST, weights_only=True)["state_dict"]


@pytest.mark.slow
def test_two_processes_share_the_rows_of_an_epoch(manifest: Path, tmp_path: Path) -> None:
    words = brief("lidc-ct", manifest, tmp_path, "--trainer.max_epochs=1")
    several = ["--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=2"]
    done = subprocess.run(
        [*CALCILENS, "train", *words, *several],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("model and card:") == 1
    state = torch.load(tmp_path / LAST, weights_only=True)
    assert state["global_step"] == 4  # 16 rows, 2 processes, 2 rows a step
    assert load_model(tmp_path / MODEL_FILE).card["training_data"]["rows"] == 16
