"""When a model gives no answer, and why: state fitted in training, reasons as words."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from calcilens.vocabulary import PATTERN_KEYS


class Reason(StrEnum):
    """Why a head gives no answer; tensors hold the index in `REASONS`."""

    ANSWERED = ""
    NO_CONTENT = "no content"
    STRANGE_BRIGHTNESS = "out of domain: brightness"
    STRANGE = "out of domain"
    METAL = "out of domain: metal"
    UNDECIDED = "undecided"
    NOT_CALCIFIED = "not calcified"
    NO_PATTERN = "no pattern fits"
    TOO_MANY = "too many patterns fit"


REASONS = tuple(Reason)
OUT_OF_DOMAIN = (
    Reason.NO_CONTENT,
    Reason.STRANGE_BRIGHTNESS,
    Reason.STRANGE,
    Reason.METAL,
)
"""Reasons why no head can answer."""


class Abstention(nn.Module):
    """Limits beyond which a head gives no answer; as they are, only a strange lesion has none."""

    undecided: Tensor
    most: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("undecided", torch.full((2,), 0.5))
        self.register_buffer("most", torch.tensor(len(PATTERN_KEYS)))

    def forward(self, strange: Tensor, finding: Tensor, sets: Tensor | None) -> Tensor:
        """Return why (B, 3) finding, pattern and concern give no answer.

        Args:
            strange: (B,) reason why no head can answer, or 0.
            finding: (B,) probability of a calcification.
            sets: (B, 18) which patterns are in the conformal set; None for a model without.
        """
        low, high = self.undecided
        undecided = (finding > low) & (finding < high)
        pattern = torch.zeros_like(strange)
        if sets is not None:
            size = sets.sum(1)
            pattern = _because(Reason.TOO_MANY, size > self.most, pattern)
            pattern = _because(Reason.NO_PATTERN, size == 0, pattern)
        pattern = _because(Reason.NOT_CALCIFIED, finding <= low, pattern)
        own = [_because(Reason.UNDECIDED, undecided, torch.zeros_like(strange)), pattern]
        heads = torch.stack([*own, torch.zeros_like(strange)], 1)
        return torch.where(strange[:, None] > 0, strange[:, None], heads)


def _because(reason: Reason, where: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(where, REASONS.index(reason), otherwise)
