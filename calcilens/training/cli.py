"""Training from the command line: LightningCLI around our task and data."""

from __future__ import annotations

import logging
import os
import re
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info

from calcilens.errors import ModelError, UsageError, compose
from calcilens.training.datamodule import LesionData
from calcilens.training.export import card_text, write_model
from calcilens.training.film_data import FilmData
from calcilens.training.finder_export import write_finder
from calcilens.training.finder_task import FinderTask
from calcilens.training.task import LesionTask

CONFIGS = Path(__file__).parent / "configs"
FINDERS = CONFIGS / "finders"
MODEL_FILE = "model.safetensors"
LAST = "last.ckpt"
_LONGEST_MESSAGE = 240


def recipes() -> list[str]:
    """Return the names of the recipes for classifiers in the package."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def recipe_path(name_or_path: str) -> Path:
    """Find a recipe by its name in the package or by its path.

    Raises:
        UsageError: There is none, or it is not YAML.
    """
    path = Path(name_or_path)
    for found in (path, CONFIGS / f"{name_or_path}.yaml", FINDERS / f"{name_or_path}.yaml"):
        if found.is_file():
            _require_yaml(found)
            return found
    raise UsageError(
        compose(
            f"a YAML file or one of {', '.join(recipes())}", repr(name_or_path), where="--config"
        )
    )


def _require_yaml(path: Path) -> None:
    """Refuse in one line what the parser of options would refuse in many."""
    try:
        yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        found = getattr(error, "problem", None) or type(error).__name__
        raise UsageError(compose("YAML", found, where=f"{path.name}{line}")) from error


class HowToGoOn(Callback):
    """Say, when the user stops a run, what to do to go on with it."""

    def on_exception(self, trainer: Trainer, _: LightningModule, exception: BaseException) -> None:
        """Say it once, on the main process."""
        last = Path(trainer.default_root_dir) / LAST
        if isinstance(exception, KeyboardInterrupt):
            advice = f"to go on, add --ckpt_path {last}" if last.is_file() else "no epoch was whole"
            rank_zero_info(f"stopped in epoch {trainer.current_epoch + 1}; {advice}")


class TrainingCLI(LightningCLI):
    """Fit with logs and checkpoints under `--out`, then write weights and card there."""

    task: ClassVar[type[LightningModule]] = LesionTask
    data: ClassVar[type[LightningDataModule]] = LesionData

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--out`; one seed for weights, order and augmentation."""
        parser.add_argument("--out", type=str, default="runs/latest", help="Folder of the run.")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Send CSV and TensorBoard logs and checkpoints to `--out`, beside loggers of the user."""
        out = str(self._get(self.config_init, "out"))
        config = self._get(self.config_init, "trainer")
        tables = CSVLogger(out, "", _unused(Path(out), "csv"))
        own = [tables, TensorBoardLogger(out, "", "tensorboard")]
        theirs = config.logger if isinstance(config.logger, list) else [config.logger]
        loggers = [*own, *(logger for logger in theirs if isinstance(logger, Logger))]
        best = ModelCheckpoint(
            out, filename="best-loss", monitor="val/loss", enable_version_counter=False
        )
        # One of its own: `save_last` saves the last epoch that was better than all before it.
        last = ModelCheckpoint(out, filename=Path(LAST).stem, enable_version_counter=False)
        callbacks = [*(config.callbacks or []), best, last, HowToGoOn()]
        logs: dict[str, Any] = {"logger": loggers, "callbacks": callbacks}
        return super().instantiate_trainer(**(logs | {"default_root_dir": out} | kwargs))

    def after_fit(self) -> None:
        """Write `model.safetensors` and its card."""
        if self.trainer.is_global_zero and not self.trainer.interrupted:
            self.write(Path(self.trainer.default_root_dir) / MODEL_FILE)

    def write(self, weights: Path) -> None:
        """Write what was trained, and its card beside it."""
        write_model(self.model, self.datamodule, weights)


class FinderCLI(TrainingCLI):
    """The same for a finder of lesions in whole films."""

    task = FinderTask
    data = FilmData

    def write(self, weights: Path) -> None:
        """Write the finder, and its card beside it."""
        recipes = self._get(self.config, "config") or []
        text = card_text(Path(str(recipes[0]))) if recipes else {}
        write_finder(self.model, self.datamodule, weights, text)


def _unused(folder: Path, name: str) -> str:
    """Return `name`, or `name-2` and so on: the CSV logger deletes what lies in its folder."""
    numbered = (f"{name}-{n}" for n in count(2))
    return next(n for n in chain([name], numbered) if not (folder / n).exists())


def train(args: Sequence[str], kind: type[TrainingCLI] = TrainingCLI) -> Trainer:
    """Train as the arguments say; `--config` takes a recipe's name or a path.

    Checkpoints are read as plain tensors: a pickle in one never runs.

    Args:
        args: As for LightningCLI's `fit`: ``--config ct --data.manifest m.parquet ...``.
        kind: What is trained.

    Returns:
        The trainer, after fitting.

    Raises:
        UsageError: No such recipe, or settings that cannot be used.
        ModelError: The checkpoint to go on from is none of ours.
        KeyboardInterrupt: The user stopped the run; its last whole epoch is kept.
    """
    _quiet()
    try:
        cli = kind(
            kind.task,
            kind.data,
            args=["fit", *_with_recipe_paths(args), "--weights_only=true"],
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"exit_on_error": False, "fit": {"exit_on_error": False}},
        )
    except ArgumentError as error:
        raise UsageError(_in_one_line(str(error))) from error
    except UnpicklingError as error:
        raise ModelError(
            compose("a checkpoint of plain tensors", "other objects", where="--ckpt_path")
        ) from error
    except SystemExit as leave:
        if isinstance(leave.__context__, KeyboardInterrupt):  # Lightning turns one into the other
            raise KeyboardInterrupt from None
        raise
    return cli.trainer


def _in_one_line(message: str) -> str:
    """Return the beginning of what the parser of options says, without Lightning's sub-command."""
    short = re.sub(r"\bfit\.", "", " ".join(message.split()))[:_LONGEST_MESSAGE]
    return compose("settings that can be used", short, fix="`--help` lists the main options")


def _with_recipe_paths(args: Sequence[str]) -> list[str]:
    resolved: list[str] = []
    for i, arg in enumerate(args):
        if i and args[i - 1] in ("--config", "-c"):
            arg = str(recipe_path(arg))
        elif arg.startswith("--config="):
            arg = f"--config={recipe_path(arg.removeprefix('--config='))}"
        resolved.append(arg)
    return resolved


def _quiet() -> None:
    """Silence advice that does not apply to us; warnings about the data stay."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's use of it
    for message in (
        r".*LeafSpec\W+is deprecated.*",  # Lightning's use of torch
        ".*does not have many workers.*",  # patches come out of memory
        ".*smaller than the logging interval.*",
        ".*LightningCLI's args parameter is intended.*",  # our command line passes them on
        ".*Checkpoint directory .* exists and is not empty.*",  # on purpose, when resuming
    ):
        warnings.filterwarnings("ignore", message=message)
    told = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    told.addFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage()
