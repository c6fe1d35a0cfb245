from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from calcilens.models.classifier import PatternOutput
from calcilens.training.losses import lesion_loss


def logits(rows: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 20, generator=generator, requires_grad=True)


def nothing(rows: int = 6) -> dict[str, Tensor]:
    unknown = torch.full((rows,), torch.nan)
    return {
        "finding": unknown,
        "concern": unknown,
        "pattern": torch.zeros(rows, 18),
        "pattern_weight": torch.ones(rows),
        "weight": torch.ones(rows),
    }


def test_without_labels_loss_and_gradient_are_zero() -> None:
    x = logits()
    loss = lesion_loss(PatternOutput.of(x), nothing())
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize(("head", "columns"), [("finding", [0]), ("concern", [1])])
def test_a_label_of_one_row_and_head_teaches_that_row_and_head_alone(
    head: str, columns: list[int]
) -> None:
    x, targets = logits(), nothing()
    targets[head] = torch.tensor([torch.nan, torch.nan, 1.0, torch.nan, torch.nan, torch.nan])
    lesion_loss(PatternOutput.of(x), targets).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.nonzero().tolist() == [[2, c] for c in columns]
    assert x.grad[2, columns[0]] < 0  # a positive label asks for a larger logit


def test_a_pattern_label_teaches_the_pattern_head_alone() -> None:
    x, targets = logits(), nothing()
    targets["pattern"][4, 3] = 1.0
    lesion_loss(PatternOutput.of(x), targets).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.nonzero()[:, 0].tolist() == [4] * 18
    assert not x.grad[:, :2].any()
    assert x.grad[4, 5] < 0
    assert x.grad[4, 6] > 0


def test_the_parts_agree_with_torch() -> None:
    x, targets = logits(), nothing()
    targets["finding"] = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    targets["weight"] = torch.tensor([0.5, 0.5, 0.7, 0.7, 1.0, 1.0])
    targets["pattern"] = F.one_hot(torch.arange(6), 18).float()
    wanted = F.binary_cross_entropy_with_logits(x[:, 0], targets["finding"], targets["weight"])
    targets["pattern_weight"] = torch.tensor([0.2, 0.2, 0.2, 1.0, 1.0, 1.0])
    patterns = F.cross_entropy(x[:, 2:], torch.arange(6), reduction="none")
    wanted = wanted + (patterns * targets["pattern_weight"]).mean()
    torch.testing.assert_close(lesion_loss(PatternOutput.of(x), targets), wanted)


def test_unlabelled_rows_do_not_dilute_the_others() -> None:
    x, targets = logits(), nothing()
    targets["finding"][:2] = 1.0
    few = {name: value[:2] for name, value in targets.items()}
    torch.testing.assert_close(
        lesion_loss(PatternOutput.of(x), targets), lesion_loss(PatternOutput.of(x[:2]), few)
    )
