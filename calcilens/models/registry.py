"""Names, cards and files of models; importable without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calcilens.errors import ModelError, compose
from calcilens.files import write_whole
from calcilens.models.card_facts import check_card

HERE = Path(__file__).parent
DEFAULT = {"CT": "calcilens-ct", "radiograph": "calcilens-radiograph"}
"""The model that reads each modality where the user names none."""
FINDS = "find lesions"
"""The task of a finder, on its card; the cards of classifiers state none."""
FINDER = "calcilens-radiograph-finder"
"""What searches radiographs where the user names none."""


@dataclass(frozen=True)
class ModelFile:
    """A weights file and its card.

    Args:
        name: Name in the package, or the file's stem.
        weights: The safetensors file.
        card_path: JSON beside it, or in the package's cards.
    """

    name: str
    weights: Path
    card_path: Path

    @cached_property
    def card(self) -> dict[str, Any]:
        """The model's card: intended use, data, figures, limits.

        Raises:
            ModelError: The card is missing or not JSON, or a field is of another kind.
        """
        try:
            card = json.loads(self.card_path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                compose("a model card (JSON)", f"{type(error).__name__}", where=self.card_path.name)
            ) from error
        return check_card(card, self.card_path.name)

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights file, hex."""
        with self.weights.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def write_card(self, card: Mapping[str, Any]) -> None:
        """Write the card; it appears whole or not at all."""
        write_whole(self.card_path, (json.dumps(dict(card), indent=1) + "\n").encode())
        vars(self).pop("card", None)  # read anew when it is next asked for

    def note(self, name: str, figures: Mapping[str, Any]) -> None:
        """Write figures onto the card, under `evaluations` and a name.

        Raises:
            ModelError: The card cannot be read or written.
        """
        noted = {**self.card.get("evaluations", {}), name: dict(figures)}
        try:
            self.write_card(self.card | {"evaluations": noted})
        except OSError as error:
            found, where = str(error.strerror), self.card_path.name
            raise ModelError(compose("a card to write to", found, where=where)) from error

    def verify(self) -> None:
        """Check that the weights are those that the card describes.

        Raises:
            ModelError: They are not.
        """
        stated = self.card.get("sha256")
        if stated != self.sha256:
            raise ModelError(
                compose(
                    f"weights with sha256 {str(stated)[:12]}",
                    self.sha256[:12],
                    where=self.weights.name,
                    fix="take the file and its card from the same place again",
                )
            )


def embedded() -> dict[str, ModelFile]:
    """Return the models inside the package by name."""
    return {
        card.stem: ModelFile(card.stem, HERE / "weights" / f"{card.stem}.safetensors", card)
        for card in sorted((HERE / "cards").glob("*.json"))
    }


class Loaded:
    """What was loaded from a file; `file` is a field of those that come from one."""

    file: ModelFile

    @property
    def card(self) -> dict[str, Any]:
        """The model's card."""
        return self.file.card

    @property
    def name(self) -> str:
        """Name in the package or of the file."""
        return self.file.name

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self.file.sha256


def find(model: str | Path | ModelFile, *, finds: bool | None = None) -> ModelFile:
    """Find a model by its name in the package or by the path of its weights.

    Args:
        model: Name or path; or what was found before.
        finds: Whether it must find lesions, or else judge them; None for either.

    Raises:
        ModelError: There is no such model, or it is of the other kind.
    """
    file = model if isinstance(model, ModelFile) else _found(model)
    if finds is not None and (file.card.get("task") == FINDS) != finds:
        wanted = "a model that finds lesions" if finds else "a model that judges lesions"
        other = "one that judges" if finds else "one that finds"
        raise ModelError(compose(wanted, other, where=file.name))
    return file


def _found(name_or_path: str | Path) -> ModelFile:
    models = embedded()
    if str(name_or_path) in models:
        return models[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix == ".safetensors" and path.is_file():
        return ModelFile(path.stem, path, path.with_suffix(".json"))
    known = ", ".join(models) or "none"
    raise ModelError(
        compose(
            f"an embedded model ({known}) or a .safetensors file with its card beside it",
            f"{path.name!r}",
            where="model",
        )
    )
