from __future__ import annotations

import numpy as np
import pytest

from calcilens.phantoms.materials import (
    BASE_NAMES,
    INDEX,
    KEV,
    KVP,
    TISSUES,
    _table,
    beam,
    composition,
    hu_per_density,
    tissue_hu,
)

VOLTAGES = (80, 100, 120, 140)


def hu(name: str, kvp: float) -> float:
    return float(tissue_hu(kvp)[INDEX[name]])


def test_tables_are_what_spekpy_and_xraydb_say() -> None:
    from calcilens.phantoms import make_tables  # their import takes seconds

    for name, made in (
        ("spectra", make_tables.spectra((40, 85, 150))),
        ("attenuation", make_tables.attenuation()),
    ):
        shipped = _table(name)
        assert set(made.columns) <= set(shipped)
        for column in made.columns:
            np.testing.assert_allclose(shipped[column], made[column], rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("kvp", VOLTAGES)
def test_tissues_have_the_hu_that_radiologists_know(kvp: int) -> None:
    known = {
        "air": (-1000, -1000),
        "lung": (-900, -750),
        "fat": (-130, -70),
        "fluid": (0, 30),
        "blood": (30, 60),
        "muscle": (40, 70),
        "cortex": (1100, 2100),
        "trabecular": (50, 350),
        "glass": (1500, 3000),
    }
    wrong = {n: hu(n, kvp) for n, (low, high) in known.items() if not low <= hu(n, kvp) <= high}
    assert wrong == {}


def test_heavy_atoms_lose_hu_with_voltage_and_soft_tissue_does_not() -> None:
    values = np.array([hu_per_density(kvp) for kvp in VOLTAGES])
    rows = dict(zip(BASE_NAMES, values.T, strict=True))
    for name in ("mineral", "iodine", "metal"):
        assert (np.diff(rows[name]) < 0).all()
    assert rows["iodine"][0] / rows["iodine"][2] > 1.4  # 80 against 120 kVp
    assert rows["soft"].std() / rows["soft"].mean() < 0.01


def test_every_voltage_has_its_spectrum() -> None:
    assert {int(c) for c in _table("spectra") if c != "kev"} == set(KVP)


def test_hu_between_two_voltages_lie_between_theirs() -> None:
    mineral = BASE_NAMES.index("mineral")
    low, middle, high = (hu_per_density(kvp)[mineral] for kvp in (100, 110, 120))
    assert low > middle > high


@pytest.mark.parametrize("kvp", [KVP[0], 62, 120, KVP[-1]])
def test_a_beam_has_all_its_photons_and_none_above_its_voltage(kvp: int) -> None:
    one = beam(kvp, 3.0, 12)
    assert one.fluence.sum() == pytest.approx(1)
    assert (np.diff(one.kev) > 0).all()
    assert one.kev.max() <= kvp
    assert one.attenuation.shape == (len(BASE_NAMES), 12)
    assert (one.attenuation > 0).all()


def test_a_filter_hardens_a_beam() -> None:
    beams = [beam(80, mm) for mm in (1.0, 3.0, 9.0)]
    means = [float((one.kev * one.fluence).sum()) for one in beams]
    assert means == sorted(means)
    assert means[-1] - means[0] > 3


def test_compositions_name_only_known_materials_and_weigh_what_tissues_weigh() -> None:
    assert composition().shape == (len(TISSUES), len(BASE_NAMES))
    weight = composition().sum(1)
    assert weight[INDEX["air"]] == 0
    for tissue in TISSUES:
        assert set(tissue.parts) <= set(BASE_NAMES)
    assert 1.6 < weight[INDEX["cortex"]] < 2.0  # g/cm3
    assert KEV[0] <= 12
