from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calcilens.phantoms.materials import BASE_NAMES, hu_per_density, tissue_hu
from calcilens.phantoms.person import grown
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Segment
from calcilens.phantoms.solids import Solids, joined, solids
from calcilens.phantoms.truth import lesion_truth
from calcilens.phantoms.tubes import Tube, ellipse

Z = np.array([-150.0, 150.0])
RADIUS, DENSITY = 6.0, 0.5


def cylinder(tissue: str, radius: float, x: float, within: str) -> Tube:
    both = [radius, radius]
    return Tube(tissue, Z, np.array([[0.0, x], [0.0, x]]), ellipse(both, both), within)


def limb() -> Segment:
    """A round limb of muscle, radius 60 mm, with a round bone, radius 10 mm, 25 mm to its left."""
    skin = cylinder("muscle", 60, 0, "air")
    bone = cylinder("cortex", 10, 25, "muscle")
    return Segment("calf", (skin, bone), skin, skin, muscles=(skin,), bones=(bone,))


def lesion(*parts: Solids) -> Lesion:
    whole = joined(list(parts))
    return Lesion(("diffuse",), "diffuse", whole, whole.box(), grain=0.0)


def ball(x: float, radius: float = RADIUS) -> Solids:
    return solids([3.0, 0.0, x], [radius], DENSITY, edge=0.02)


def test_a_ball_in_a_round_limb_has_the_figures_that_geometry_gives() -> None:
    found = lesion_truth(lesion(ball(-20.0)), limb(), 120)
    assert found["volume_mm3"] == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.03)
    assert found["mass_mg"] == pytest.approx(4 / 3 * np.pi * RADIUS**3 * DENSITY, rel=0.02)
    assert found["max_diameter_mm"] == pytest.approx(2 * RADIUS, abs=0.4)
    assert found["centroid_mm"] == pytest.approx([-20, 0, 3], abs=0.05)
    box = [[-26, -6, -3], [-14, 6, 9]]
    np.testing.assert_allclose(found["box_mm"], box, atol=0.2)
    # Chords of outlines with 72 corners lie a little inside the circle.
    assert found["skin_distance_mm"] == pytest.approx(60 - 26, abs=0.25)
    assert found["bone_distance_mm"] == pytest.approx(45 - 10 - RADIUS, abs=0.25)
    rise = hu_per_density(120)[BASE_NAMES.index("mineral")] * DENSITY
    muscle = tissue_hu(120)[4]
    assert found["max_hu"] == pytest.approx(muscle + rise, abs=1)
    assert found["mean_hu"] == pytest.approx(muscle + rise, rel=0.03)


def test_a_lucent_core_counts_for_the_diameter_but_not_for_the_volume() -> None:
    core = solids([3.0, 0.0, -20.0], [4.0], 0.0, edge=0.02)
    shell = lesion_truth(lesion(ball(-20.0), core), limb(), 120)
    whole = lesion_truth(lesion(ball(-20.0)), limb(), 120)
    assert shell["max_diameter_mm"] == whole["max_diameter_mm"]
    lost = 4 / 3 * np.pi * 4**3
    assert whole["volume_mm3"] - shell["volume_mm3"] == pytest.approx(lost, rel=0.04)


def test_mineral_inside_bone_is_bone_unless_the_lesion_destroys_it() -> None:
    inside = lesion(ball(12.0))  # 3 mm of it lie in the bone
    kept = lesion_truth(inside, limb(), 120)
    eroding = lesion_truth(replace(inside, erosion=True), limb(), 120)
    assert kept["bone_distance_mm"] == pytest.approx(0, abs=0.3)
    assert kept["volume_mm3"] < 0.95 * eroding["volume_mm3"]


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_growth_multiplies_volume_and_mass_and_leaves_density(factor: float) -> None:
    small = lesion(ball(-20.0, 4.0), solids([9.0, 2.0, -26.0], [3.0, 2.0, 2.5], 0.3))
    before, after = (lesion_truth(one, limb(), 100) for one in (small, grown(small, factor)))
    assert after["volume_mm3"] / before["volume_mm3"] == pytest.approx(factor, rel=0.02)
    assert after["mass_mg"] / before["mass_mg"] == pytest.approx(factor, rel=0.02)
    assert after["mean_hu"] == pytest.approx(before["mean_hu"], rel=0.02)


def test_a_body_without_bone_has_no_distance_to_it() -> None:
    boneless = replace(limb(), bones=())
    assert lesion_truth(lesion(ball(-20.0)), boneless, 120)["bone_distance_mm"] is None


def fat_limb() -> Segment:
    """The same limb with its fascia 40 mm from the middle, under fat."""
    inner = cylinder("fascia", 40, 0, "fat")
    whole = limb()
    return replace(whole, tubes=(*whole.tubes[:1], inner, *whole.tubes[1:]), fascia=inner)


@pytest.mark.parametrize(
    ("x", "depth"),
    [(-20.0, "deep"), (-38.0, "deep"), (-45.0, "deep"), (-46.5, "subcutaneous")],
)
def test_only_what_lies_wholly_over_the_fascia_is_subcutaneous(x: float, depth: str) -> None:
    found = lesion_truth(lesion(ball(x)), fat_limb(), 120)
    assert found["depth"] == depth
    away = max(abs(-x - 40) - RADIUS, 0)
    assert found["fascia_distance_mm"] == pytest.approx(away, abs=0.3)
