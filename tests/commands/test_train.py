from __future__ import annotations

from calcilens.commands.train import what_came_out
from calcilens.vocabulary import PATTERN_KEYS


def test_a_training_tells_its_figures_and_what_the_model_does_not_know() -> None:
    card = {
        "patterns": [key for key in PATTERN_KEYS if key != "popcorn"],
        "answers": {"patterns_in_every_set": ["central", "stippled"]},
    }
    metrics = {"val/finding_auroc": 0.91, "val/concern_auroc": float("nan"), "val/loss": 0.5}
    figures, untaught, always = what_came_out(card, metrics)
    assert figures == "AUROC on validation lesions: finding 0.910"
    assert untaught.endswith(": popcorn")
    assert always.endswith(": central, stippled")


def test_a_whole_model_has_nothing_to_confess() -> None:
    card = {"patterns": list(PATTERN_KEYS), "answers": {"undecided": [0.3, 0.7]}}
    assert what_came_out(card, {}) == []
