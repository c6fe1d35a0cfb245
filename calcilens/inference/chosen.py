"""Which models a run needs: their files and cards are checked at once, torch is loaded when due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from calcilens.errors import UsageError, compose
from calcilens.imaging.images import Image
from calcilens.imaging.study import Study
from calcilens.inference.provenance import needed, without
from calcilens.models.registry import DEFAULT, FINDER, ModelFile, find

if TYPE_CHECKING:  # they bring torch
    from calcilens.inference.pipeline import Models


class Names(NamedTuple):
    """Names or paths of models as the user gave them; None for the embedded one.

    Args:
        ct: Of the classifier for CT.
        radiograph: The same for radiographs.
        finder: Of what searches radiographs.
    """

    ct: str | None = None
    radiograph: str | None = None
    finder: str | None = None

    def check(self) -> None:
        """Check those that are given, needed or not.

        Raises:
            ModelError: There is no such model, its card or weights are damaged, or it is of
                another kind.
            UsageError: It is for another modality.
        """
        if self.ct is not None:
            _classifier(self.ct, "CT", "--model-ct")
        if self.radiograph is not None:
            _classifier(self.radiograph, "radiograph", "--model-radiograph")
        if self.finder is not None:
            _finder(self.finder)


@dataclass(frozen=True)
class Chosen:
    """The files of the models that a run needs, each None where it needs none."""

    ct: ModelFile | None
    radiograph: ModelFile | None
    finder: ModelFile | None

    @classmethod
    def for_studies(cls, studies: Sequence[Study], names: Names, *, search: bool) -> Chosen:
        """Choose what the images need, checked as `Names.check` does.

        Args:
            studies: What was read.
            names: What the user named.
            search: Whether lesions are searched for.
        """
        wanted = needed([i for s in studies for i in s.images], search=search)
        ct, film = names.ct or DEFAULT["CT"], names.radiograph or DEFAULT["radiograph"]
        return cls(
            _classifier(ct, "CT", "--model-ct") if wanted["ct"] else None,
            _classifier(film, "radiograph", "--model-radiograph") if wanted["radiograph"] else None,
            _finder(names.finder or FINDER) if wanted["finder"] else None,
        )

    def narrowed(self, images: Sequence[Image], *, search: bool) -> Chosen:
        """Return those that images need: a report names no others, whatever else is in the run."""
        return replace(self, **without(needed(images, search=search)))

    def used(self) -> tuple[ModelFile, ...]:
        """Return the models that there are."""
        return tuple(m for m in (self.ct, self.radiograph, self.finder) if m is not None)

    @cached_property
    def loaded(self) -> Models:
        """The models themselves; torch is then told to use one thread.

        One lesion is little work: threads wait for each other longer than they compute, and on a
        busy machine ten times as long.
        """
        import torch

        from calcilens.inference.pipeline import Models
        from calcilens.models.finder_file import load_finder
        from calcilens.models.loading import load_model

        torch.set_num_threads(1)
        ct, film = (None if m is None else load_model(m) for m in (self.ct, self.radiograph))
        return Models(ct, film, None if self.finder is None else load_finder(self.finder))


def _classifier(name: str, modality: str, option: str) -> ModelFile:
    file = find(name, finds=False)
    found = file.card["modality"]
    if found != modality:
        raise UsageError(compose(f"a model for {modality}", f"one for {found}", where=option))
    file.verify()
    return file


def _finder(name: str) -> ModelFile:
    file = find(name, finds=True)
    file.verify()
    return file
