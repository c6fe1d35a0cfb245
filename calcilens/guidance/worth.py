"""What a flag is worth: predictive values at a prevalence (Altman and Bland 1994)."""

from __future__ import annotations

from dataclasses import dataclass

from calcilens.errors import UsageError, compose

INCIDENCE = 5e-5
"""Soft-tissue sarcomas a year and person: 4 to 5 in 100,000 (document 000). The prevalence that is
taken where none is given: among people whose calcification is imaged it may be far higher."""


@dataclass(frozen=True)
class Worth:
    """Predictive values of a flag.

    Args:
        prevalence: Share of lesions that truly are concerning.
        sensitivity: Share of concerning lesions that are flagged.
        specificity: Share of the others that are not.
        positive: Share of flagged lesions that are concerning; None where nothing is flagged.
        negative: Share of lesions without a flag that are not; None where all are flagged.
    """

    prevalence: float
    sensitivity: float
    specificity: float
    positive: float | None
    negative: float | None

    @property
    def flags_for_one(self) -> float | None:
        """Return how many flags there are for one that is right."""
        return 1 / self.positive if self.positive else None


def worth(prevalence: float, sensitivity: float, specificity: float) -> Worth:
    """Return predictive values by Bayes' theorem.

    Raises:
        UsageError: One of the three is no share.
    """
    given = {"prevalence": prevalence, "sensitivity": sensitivity, "specificity": specificity}
    for name, share in given.items():
        check_share(name, share)
    true_flags = sensitivity * prevalence
    false_flags = (1 - specificity) * (1 - prevalence)
    quiet = specificity * (1 - prevalence)
    missed = (1 - sensitivity) * prevalence
    flagged, unflagged = true_flags + false_flags, quiet + missed
    return Worth(
        **given,
        positive=true_flags / flagged if flagged else None,
        negative=quiet / unflagged if unflagged else None,
    )


def check_share(name: str, share: float) -> None:
    """Refuse what is no share.

    Raises:
        UsageError: It is not in 0..1; the message has its name.
    """
    if not 0 <= share <= 1:
        raise UsageError(compose("a share from 0 to 1", f"{share:g}", where=name))
