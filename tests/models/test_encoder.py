from __future__ import annotations

import pytest
import torch

from calcilens.models.encoder import HU_SHARE, WIDTHS, Encoder


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_the_relative_group_starts_as_if_it_were_alone_and_hu_nearby(planes: int) -> None:
    alone, grouped = Encoder(planes).mix.weight, Encoder(planes, 3).mix.weight
    relative, *in_hu = torch.split(grouped, planes, dim=1)
    assert torch.equal(relative, alone)
    assert all(torch.equal(part, alone * HU_SHARE) for part in in_hu)


def test_stages_halve_the_resolution_and_the_last_is_the_output() -> None:
    encoder, view = Encoder(3).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        stages = encoder.stages(view)
        assert torch.equal(stages[-1], encoder(view))
    assert tuple(stage.shape[1] for stage in stages) == WIDTHS
    assert [stage.shape[-1] for stage in stages] == [32, 16, 8, 4, 4]
