"""How far saliency maps of a model can be trusted, measured on lesions it was not taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calcilens.models.ensemble import Ensemble
from calcilens.models.saliency import Explainer
from calcilens.training.samples import spread

LESIONS = 100
"""Enough for the median, and a few seconds."""

INPUTS = ("pixels", "box", "extent_mm")
Flags = NDArray[np.bool_]


def learn_trust(
    ensemble: Ensemble, lesion: Callable[[int], Mapping[str, Any]], calcified: Flags, asked: Flags
) -> None:
    """Store the median trust of the maps of calcified lesions with the model.

    Without any map that shows something nothing is stored.

    Args:
        ensemble: Whose maps.
        lesion: Index -> sample with pixels, box and extent_mm.
        calcified: (N,) lesions with a calcification; up to `LESIONS` of them are looked at.
        asked: (N, members) which members were not taught which lesion.
    """
    explainer = Explainer(ensemble)
    index = np.flatnonzero(calcified & asked.any(1))
    chosen = spread(len(index), LESIONS)
    trust = []
    for i in index[chosen].tolist():
        sample = lesion(i)
        pixels, box, extent_mm = (torch.as_tensor(sample[name])[None] for name in INPUTS)
        inputs = pixels, box, extent_mm
        found = explainer.maps(inputs, list(compress(explainer.members, asked[i])))[0]
        if found.any():
            trust.append(explainer.trust(inputs, found))
    if trust:
        ensemble.saliency_trust.fill_(float(np.median(trust)))
