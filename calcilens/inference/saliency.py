"""Where a model looked, put back into the image's grid and shown only if it passed its test."""

from __future__ import annotations

import numpy as np
from torch import nn

from calcilens.inference.lesions import SaliencyMap
from calcilens.inference.predictor import PatchInput
from calcilens.models import saliency
from calcilens.models.saliency import TRUSTED


class Explainer:
    """Makes saliency maps of one network.

    Args:
        network: A classifier or an ensemble, as `calcilens.models.saliency.Explainer` takes it.
        trust: Of the model's maps on validation lesions, as its card states it.
    """

    def __init__(self, network: nn.Module, trust: float | None = None) -> None:
        self._explainer = saliency.Explainer(network)
        self._stated = trust

    def explain(self, given: PatchInput) -> SaliencyMap:
        """Make the map of one lesion and test it."""
        found = self._explainer.maps(given.tensors)[0]
        trust = self._explainer.trust(given.tensors, found)
        values = found.numpy().astype(np.float32)
        why = self._why_hidden(trust) if values.any() else "no place speaks for 'calcified'"
        method = self._explainer.method
        return SaliencyMap(values, given.location, method, trust, why is None, why)

    def _why_hidden(self, trust: float) -> str | None:
        if self._stated is not None and self._stated < TRUSTED:
            return (
                f"maps of this model failed their test on validation lesions "
                f"(trust {self._stated:.2f}, at least {TRUSTED} needed)"
            )
        if trust < TRUSTED:
            return (
                f"a network with shuffled weights gives nearly the same map "
                f"(trust {trust:.2f}, at least {TRUSTED} needed)"
            )
        return None
