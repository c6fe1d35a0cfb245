"""What a model is taught to call strange: pictures that nobody would take for a lesion.

None is of a kind that `strangers` judges it by, but for the other modality: that one is simulated
here as models learn it and there as they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from calcilens.models.ensemble import Ensemble, Seen
from calcilens.training.pictures import (
    Donor,
    Float,
    Rng,
    clouds,
    simulated_ct,
    simulated_film,
    stored,
)
from calcilens.training.predict_rows import see_lesions
from calcilens.training.samples import Sample, ScaleLesion, spread

LEAST_LESSONS = 20
A_LESSON, MOST = 2, 4000
"""Pictures in the place of each lesson, and in all at most."""


def see_exposures(
    ensemble: Ensemble, cut: Callable[[int], Sample], lessons: Sequence[int], modality: str
) -> Seen | None:
    """Show a model pictures in the place of its lessons.

    Args:
        ensemble: Whose first member looks at them.
        cut: Gives the patch of a lesson, as `samples.CutLesion` does.
        lessons: What that member was taught on.
        modality: CT or radiograph.

    Returns:
        None for a model whose domain is learnt from lessons alone, and where these are few.
    """
    if ensemble.domain.strangers is None or len(lessons) < LEAST_LESSONS:
        return None
    chosen = np.repeat(spread(len(lessons), MOST // A_LESSON), A_LESSON)
    donors = [Donor(cut(lessons[i]), modality, n) for n, i in enumerate(chosen.tolist())]
    samples = map(ScaleLesion(ensemble.first.spec), exposures(donors))
    asked = np.arange(len(ensemble.members)) == 0
    return see_lesions(ensemble, samples, np.tile(asked, (len(donors), 1)))


def exposures(donors: Sequence[Donor], seed: int = 0) -> Iterator[Sample]:
    """Make a picture of some kind for every donor, as `samples.ScaleLesion` takes it."""
    for donor in donors:
        rng = np.random.default_rng([seed, donor.number])
        make = MAKERS[donor.number % len(MAKERS)]
        pixels = stored(rng, donor, make(rng, donor))
        yield donor.sample | {"pixels": pixels.astype(np.float32), "mask": None}


def other_modality(rng: Rng, donor: Donor) -> Float:
    """Simulate CT for a film, and a film for CT."""
    simulated = simulated_film if donor.modality == "CT" else simulated_ct
    return simulated(rng, "usual", donor.shape)


def other_tones(rng: Rng, donor: Donor) -> Float:
    """Show the other modality in tones that no scanner gives."""
    return _tones(rng, other_modality(rng, donor))


def own_tones(rng: Rng, donor: Donor) -> Float:
    """Show the lesion itself in tones that no detector gives."""
    return _tones(rng, _own(donor))


def steps(rng: Rng, donor: Donor) -> Float:
    """Leave a few shades of grey."""
    return np.round(_own(donor) * rng.integers(2, 9))


def shuffled(rng: Rng, donor: Donor) -> Float:
    """Shuffle squares of the picture."""
    own, width = _own(donor), int(rng.choice([4, 8, 16]))
    depth, count = len(own), own.shape[1] // width
    side = count * width
    squares = own[:, :side, :side].reshape(depth, count, width, count, width).swapaxes(2, 3)
    squares = squares.reshape(depth, count * count, width, width)
    squares = squares[:, rng.permutation(count * count)].reshape(depth, count, count, width, width)
    own[:, :side, :side] = squares.swapaxes(2, 3).reshape(depth, side, side)
    return own


def blurred(rng: Rng, donor: Donor) -> Float:
    """Take all detail away."""
    width = rng.uniform(3, 15)
    return gaussian_filter(_own(donor), (0, width, width))


def shapes(rng: Rng, donor: Donor) -> Float:
    """Draw boxes and ellipses of one shade each."""
    side = donor.shape[1]
    y, x = np.indices((side, side)) / side
    drawn = np.full((side, side), rng.random())
    for _ in range(rng.integers(3, 30)):
        middle, half, angle = rng.random(2), rng.uniform(0.02, 0.5, 2), rng.uniform(0, np.pi)
        along = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
        across = (y - middle[1]) * np.cos(angle) - (x - middle[0]) * np.sin(angle)
        box = np.maximum(np.abs(along) / half[0], np.abs(across) / half[1]) < 1
        ellipse = np.hypot(along / half[0], across / half[1]) < 1
        drawn[box if rng.random() < 0.5 else ellipse] = rng.random()
    drawn = gaussian_filter(drawn, rng.uniform(0, 2)) + rng.normal(0, rng.uniform(0, 0.1), y.shape)
    return np.broadcast_to(drawn, donor.shape)


def gratings(rng: Rng, donor: Donor) -> Float:
    """Lay waves over each other."""
    y, x = np.indices(donor.shape[1:])
    waves = np.zeros(donor.shape[1:])
    for _ in range(rng.integers(1, 4)):
        angle, turns = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 2)
        along = x * np.cos(angle) + y * np.sin(angle)
        waves += np.sin(along * turns + rng.uniform(0, 2 * np.pi))
    return np.broadcast_to(waves + rng.normal(0, rng.uniform(0, 0.5), waves.shape), donor.shape)


def clouded(rng: Rng, donor: Donor) -> Float:
    """Hide the lesion behind clouds."""
    cloud = clouds(rng, donor.shape, rng.uniform(0, 2))
    return _own(donor) * rng.uniform(0, 1) + rng.uniform(0.1, 0.5) * cloud


MAKERS: tuple[Callable[[Rng, Donor], Float], ...] = (
    other_modality,
    other_tones,
    own_tones,
    steps,
    other_tones,
    shuffled,
    blurred,
    other_modality,
    shapes,
    other_tones,
    gratings,
    clouded,
)
"""The other modality takes the lion's share: it is what comes by mistake most often."""


def _own(donor: Donor) -> Float:
    """Return the pixels (P, S, S) of a donor in 0..1."""
    pixels = np.asarray(donor.sample["pixels"], np.float64)
    return np.asarray((pixels - pixels.min()) / max(np.ptp(pixels), 1e-9))


def _tones(rng: Rng, picture: Float) -> Float:
    """Give a picture random tones, shade it as by a coil, and lay noise over it."""
    knots = np.sort(np.r_[0, rng.random(rng.integers(2, 8)), 1])
    if rng.random() < 0.5:  # where its tissues are, else evenly
        knots = np.quantile(picture, knots)
    else:
        knots = picture.min() + np.ptp(picture) * knots
    toned = np.interp(picture, knots, rng.random(len(knots)))
    width = rng.uniform(0, 2)
    toned = gaussian_filter(toned, (0, width, width))
    shade = np.clip(1 + rng.uniform(0, 0.5) * clouds(rng, picture.shape, 3.0), 0.3, None)
    return np.hypot(toned * shade, rng.normal(0, rng.uniform(0, 0.1), picture.shape))
