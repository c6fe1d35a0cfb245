"""Study in, report out: the order of the steps and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.candidates import Candidate, propose
from calcilens.imaging.images import Image, Radiograph, Volume, twins
from calcilens.imaging.measure import Measurement, measure
from calcilens.imaging.pool import cores
from calcilens.imaging.records import Skipped
from calcilens.imaging.study import Study
from calcilens.inference.absent import is_absent, left_out
from calcilens.inference.change import Level
from calcilens.inference.film_finder import Searched, search_film
from calcilens.inference.lesions import Answer, Lesion, SaliencyMap
from calcilens.inference.predictor import Described, Model, PatchInput, answer, patch_input
from calcilens.inference.provenance import needed, without
from calcilens.inference.report import StudyReport
from calcilens.inference.saliency import Explainer
from calcilens.inference.stopwatch import Stopwatch
from calcilens.models.finder_file import LoadedFinder
from calcilens.vocabulary import ConcernLevel

MOST_LESIONS = 30
"""Candidates of a series that are reported; given lesions are always all reported."""
NO_RADIOGRAPH_MODEL = (
    "no radiograph model was given, and a CT model is never used on a radiograph; "
    "give one with --model-radiograph NAME or FILE.safetensors"
)
SAME_FILM = "a film with the same pixels is in the study already: searched once"
NO_CT_MODEL = "no CT model was given; give one with --model-ct NAME or FILE.safetensors"
_RANK = {
    ConcernLevel.HIGH: 0,
    ConcernLevel.INTERMEDIATE: 1,
    ConcernLevel.UNKNOWN: 3,
    ConcernLevel.LOW: 4,
}
_RANK_CHANGED = 2

Placed = tuple[Image, Candidate]
Bones = Mapping[str, Mask]
"""(Z, Y, X) bones by the UID of their series."""


@dataclass(eq=False)
class Models:
    """The models of a run, each None where there is none, and what explains them."""

    ct: Model | None = None
    radiograph: Model | None = None
    finder: LoadedFinder | None = None
    _explainers: dict[int, Explainer] = field(default_factory=dict)

    def of(self, image: Image) -> Model | None:
        """Return the model for an image's modality."""
        return self.radiograph if isinstance(image, Radiograph) else self.ct

    def explainer(self, model: Model) -> Explainer:
        """Return what makes saliency maps for a model."""
        if id(model) not in self._explainers:
            self._explainers[id(model)] = Explainer(model.network)
        return self._explainers[id(model)]

    def used(self) -> tuple[Described, ...]:
        """Return the models that there are."""
        return tuple(m for m in (self.ct, self.radiograph, self.finder) if m is not None)

    def narrowed(self, images: Sequence[Image], *, search: bool) -> Models:
        """Return those that images need; see `chosen.Chosen`."""
        return replace(self, **without(needed(images, search=search)))

    @property
    def loaded(self) -> Models:
        """These, which need no loading; see `chosen.Chosen`."""
        return self


def run_study(
    study: Study,
    models: Models,
    given: Sequence[Placed] | None = None,
    *,
    priors: Sequence[Study] | None = None,
    bones: Bones | None = None,
    watch: Stopwatch | None = None,
) -> StudyReport:
    """Report on one study.

    Args:
        study: As `read_studies` gives it.
        models: What answers.
        given: Lesions given by hand, with their images; None: look for them.
        priors: Earlier studies to compare with; None: nothing is compared.
        bones: Bones from elsewhere, taken in place of those found.
        watch: Takes the time of every stage.
    """
    watch = watch or Stopwatch()
    watch.time("candidates", lambda: _know(study.images, bones or {}))
    skipped = list(study.skipped)
    places = list(given) if given is not None else []
    if given is None:
        places, capped = watch.time("candidates", lambda: _search(study.images, models))
        skipped += capped
    judged = []
    for image, candidate in places:
        said, cut = _judge(image, candidate, models, watch)
        if given is None and is_absent(said):
            skipped.append(left_out(image, candidate, said))
        else:
            seen = _explain(image, cut, said, models, watch)
            judged.append((image, candidate, said, seen))
    figures = watch.time("measurements", lambda: _measure([one[:2] for one in judged]))
    lesions = [
        Lesion(image, candidate, measured, said, seen)
        for (image, candidate, said, seen), measured in zip(judged, figures, strict=True)
    ]
    told = tuple(s.coded() for s in skipped)
    report = StudyReport(study, tuple(sorted(lesions, key=_urgency)), told, models.used())
    if priors is None:
        return report
    from calcilens.inference.compare import compare  # it brings SimpleITK

    def judge(image: Image, candidate: Candidate) -> bool:
        return is_absent(_judge(image, candidate, models, watch)[0])

    compared = watch.time("comparison", lambda: compare(report, priors, judge))
    return replace(compared, lesions=tuple(sorted(compared.lesions, key=_urgency)))


def _measure(places: Sequence[Placed]) -> list[Measurement]:
    """Measure lesions, as many at a time as there are cores."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(lambda place: measure(*place), places))


def _know(images: Sequence[Image], bones: Bones) -> None:
    for image in images:
        if isinstance(image, Volume) and image.series_uid in bones:
            anatomy(image, bones[image.series_uid])


def _different(images: Sequence[Image]) -> tuple[list[Image], list[Skipped]]:
    """Leave out radiographs that show the very pixels of another: each lesion is one lesion."""
    same = twins(images)
    kept = [image for place, image in enumerate(images) if place not in same]
    return kept, [Skipped(images[place].series_uid, SAME_FILM) for place in same]


def _search(images: Sequence[Image], models: Models) -> tuple[list[Placed], list[Skipped]]:
    found: list[Placed] = []
    images, untold = _different(images)
    for image in images:
        if isinstance(image, Radiograph):
            searched, first = search_film(image, models.finder), "likeliest"
        else:
            searched, first = Searched(tuple(propose(image))), "with most mineral"
        candidates = searched.candidates
        untold += searched.skipped
        found += [(image, c) for c in candidates[:MOST_LESIONS]]
        if len(candidates) > MOST_LESIONS:
            reason = (
                f"{len(candidates)} places could be calcified; the {MOST_LESIONS} {first} "
                "are reported; give the others with --roi"
            )
            untold.append(Skipped(image.series_uid, reason))
    return found, untold


def _judge(
    image: Image, candidate: Candidate, models: Models, watch: Stopwatch
) -> tuple[Answer, PatchInput | None]:
    model = models.of(image)
    if model is None:
        missing = NO_RADIOGRAPH_MODEL if isinstance(image, Radiograph) else NO_CT_MODEL
        return Answer.abstain(missing), None
    cut = patch_input(image, candidate, model.spec)
    if isinstance(cut, str):
        return Answer.abstain(cut, str(model.card.get("name"))), None
    return watch.time("predictions", lambda: answer(model, cut)), cut


def _explain(
    image: Image, cut: PatchInput | None, said: Answer, models: Models, watch: Stopwatch
) -> SaliencyMap | None:
    model = models.of(image)
    if model is None or cut is None or said.finding.probability is None:
        return None
    return watch.time("saliency", lambda: models.explainer(model).explain(cut))


def _urgency(lesion: Lesion) -> tuple[int, float, float]:
    """Order lesions: by concern, then by probability, else as given.

    High, intermediate, new or rapidly grown, no answer, low: what nobody judged may matter more
    than what the model calls harmless, and so may what changed.
    """
    said = lesion.answer
    rank = _RANK[lesion.level]
    if lesion.change is not None and lesion.change.level in (Level.NEW, Level.RAPID):
        rank = min(rank, _RANK_CHANGED)
    return rank, -(said.concern.probability or 0.0), -(said.finding.probability or 0.0)
