from __future__ import annotations

import pytest
import torch
from torch import Tensor

from calcilens.training.losses import attention_loss

SIZE, CELLS = 32, 8
WINDOW = torch.tensor([[0.0, 0.0, SIZE, SIZE]])


def targets(*masks: Tensor | None, finding: float = 1.0) -> dict[str, Tensor]:
    """Targets of one row a mask; None: not known."""
    unknown = torch.full((1, SIZE, SIZE), torch.nan)
    rows = [unknown if mask is None else mask for mask in masks]
    return {"mask": torch.stack(rows), "finding": torch.full((len(rows),), finding)}


def square(y: int = 8, x: int = 16, side: int = 8) -> Tensor:
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, y : y + side, x : x + side] = 1
    return mask


def logits(*sure: Tensor) -> Tensor:
    """Maps that are sure of being bright where a mask over the window is 1."""
    cells = torch.nn.functional.avg_pool2d(torch.stack(sure), SIZE // CELLS)
    return ((cells - 0.5) * 20).requires_grad_()


def loss(map_logits: Tensor, wanted: dict[str, Tensor]) -> Tensor:
    return attention_loss(map_logits, WINDOW.expand(len(map_logits), 4), wanted)


def test_a_map_that_equals_the_mask_costs_little_and_one_elsewhere_much() -> None:
    assert loss(logits(square()), targets(square())) < 0.5
    assert loss(logits(square(16, 8)), targets(square())) > 2


def test_without_a_mask_and_a_finding_that_is_absent_nothing_is_taught() -> None:
    x = logits(square(), square())
    cost = loss(x, targets(None, None))
    cost.backward()  # type: ignore[no-untyped-call]
    assert cost == 0
    assert x.grad is not None
    assert not x.grad.any()


def test_rows_without_a_mask_do_not_dilute_the_others() -> None:
    here, elsewhere = logits(square()), logits(square(), square(0, 0))
    torch.testing.assert_close(
        loss(here, targets(square(4, 4))), loss(elsewhere, targets(square(4, 4), None))
    )


def test_where_nothing_is_calcified_the_map_is_asked_to_be_dark() -> None:
    dark, bright = torch.full((1, 1, CELLS, CELLS), -9.0), torch.full((1, 1, CELLS, CELLS), 2.0)
    absent = targets(None, finding=0.0)
    assert loss(dark, absent) < 0.01 < 1 < loss(bright, absent)


@pytest.mark.parametrize("height", [-100.0, 100.0])
def test_saturated_maps_give_finite_loss_and_gradient(height: float) -> None:
    x = torch.full((2, 1, CELLS, CELLS), height, requires_grad=True)
    cost = loss(x, targets(square(), torch.zeros(1, SIZE, SIZE)))
    cost.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert cost.isfinite()
    assert x.grad.isfinite().all()


def test_the_mask_is_looked_up_through_the_window() -> None:
    inside = torch.tensor([[9.0, 17.0, 15.0, 23.0]])
    bright = torch.full((1, 1, CELLS, CELLS), 10.0)
    assert attention_loss(bright, inside, targets(square())) < 0.01


def test_a_speck_asks_for_more_than_its_share_of_a_cell_and_for_less_than_a_full_one() -> None:
    levels = torch.linspace(-6, 6, 121)
    speck = targets(square(9, 17, 1))
    costs = []
    for level in levels:
        x = torch.full((1, 1, CELLS, CELLS), -20.0)
        x[0, 0, 2, 4] = level
        costs.append(loss(x, speck))
    best = float(levels[int(torch.stack(costs).argmin())].sigmoid())
    assert best == pytest.approx((1 / 16) ** 0.5, abs=0.05)
