"""How unsure a model is of its answers: what active learning sorts studies by.

Reviewing what the model is least sure of teaches it most per minute of a reader (uncertainty
sampling: Lewis and Gale, SIGIR 1994; for several classes by entropy: Settles, Active Learning
Literature Survey, 2009). Of a lesion, the least sure of three answers counts:

- finding and concern: the entropy of the two-sided answer, in bits: 1 at a probability of 0.5;
- pattern: the entropy over the patterns that the model knows, as a share of the highest
  possible, weighed with the probability that there is a calcification at all;
- an answer without a probability counts as 1: nothing is known.

A lesion out of the model's domain is one whose probabilities cannot be trusted: half of what is
left to 1 is added. A study is as unsure as its worst lesion. The value says nothing about the
level of concern: 0.1 and 0.9 give the same, so that it may be shown to a blinded reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

_OUT_OF_DOMAIN = 0.5
"""Share of what is left to 1 that is added for a lesion out of domain."""


def of_study(lesions: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the uncertainty of a study, 0 to 1: that of its worst lesion; None without any.

    Args:
        lesions: As report.json has them.
    """
    return max((of_lesion(lesion) for lesion in lesions), default=None)


def of_lesion(lesion: Mapping[str, Any]) -> float:
    """Return the uncertainty of a lesion of report.json, 0 (certain) to 1 (nothing is known)."""
    calcified = lesion["finding"]["probability"]
    parts = [
        two_sided(calcified),
        two_sided(lesion["concern"]["probability"]),
        _pattern(lesion["pattern"]["probabilities"], calcified),
    ]
    value = max(parts)
    if lesion["out_of_domain"]["flag"]:
        value += _OUT_OF_DOMAIN * (1 - value)
    return min(max(value, 0.0), 1.0)


def two_sided(probability: float | None) -> float:
    """Return the entropy of a yes or no, bits; 1 where there is no probability."""
    return 1.0 if probability is None else entropy([probability, 1 - probability])


def entropy(shares: Iterable[float]) -> float:
    """Return the entropy of shares as a share of the highest possible, 0 to 1.

    Shares need not sum to one: reports round them.
    """
    known = list(shares)
    total = sum(known)
    if len(known) < 2 or total <= 0:
        return 0.0
    parts = [share / total for share in known if share > 0]
    value = -sum(p * math.log(p) for p in parts if p > 0)
    return min(max(value / math.log(len(known)), 0.0), 1.0)


def _pattern(shares: Mapping[str, float], calcified: float | None) -> float:
    """Return how unsure the pattern is: of what is no calcification, nobody asks for one."""
    if not shares:
        return 0.0 if calcified is not None and calcified < 0.5 else 1.0
    return entropy(shares.values()) * (1.0 if calcified is None else calcified)
