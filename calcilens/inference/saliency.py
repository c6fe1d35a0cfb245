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
    """

    def __init__(self, network: nn.Module) -> None:
        self._explainer = saliency.Explainer(network)

    def explain(self, given: PatchInput) -> SaliencyMap:
        """Make the map of one lesion and test it."""
        found = self._explainer.maps(given.tensors)[0]
        trust = self._explainer.trust(given.tensors, found)
        values = found.numpy().astype(np.float32)
        why = self._why_hidden(trust) if values.any() else "no place speaks for 'calcified'"
        method = self._explainer.method
        return SaliencyMap(values, given.location, method, trust, why is None, why)

    def _why_hidden(self, trust: float) -> str | None:
        if self._explainer.failed:
            return (
                f"maps of this model failed their test on held-out lesions "
                f"(trust {self._explainer.stated_trust:.2f}, at least {TRUSTED} needed)"
            )
        if trust < TRUSTED:
            return (
                f"a network with shuffled weights gives nearly the same map "
                f"(trust {trust:.2f}, at least {TRUSTED} needed)"
            )
        return None
