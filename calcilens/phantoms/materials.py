"""What bodies are made of, and how much of an X-ray beam that takes away.

Every tissue is a sum of a few base materials in g/cm3. Attenuation comes from xraydb (Elam,
Ravel and Sieber 2002), tube spectra from spekpy (Poludniowski et al. 2021), both as tables that
`make_tables` makes, so CT and radiograph of one phantom follow from the same numbers.
Compositions: ICRU Report 44.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

BASES: dict[str, dict[str, float]] = {  # mass fractions of elements
    "soft": {"H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002, "K": 0.008},
    "fat": {"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.002},
    "mineral": {"Ca": 0.3989, "P": 0.1850, "O": 0.4141, "H": 0.0020},  # hydroxyapatite
    "iodine": {"I": 1.0},
    "metal": {"Fe": 0.70, "Cr": 0.18, "Ni": 0.12},  # stainless steel
    "light_metal": {"Ti": 0.90, "Al": 0.06, "V": 0.04},
    "glass": {"Si": 0.34, "O": 0.46, "Na": 0.10, "Ca": 0.10},
}
BASE_NAMES = tuple(BASES)
WATER = {"H": 0.1119, "O": 0.8881}
ALUMINIUM = {"Al": 1.0}
ALUMINIUM_G_CM3 = 2.70
KEV: Float = np.arange(12.0, 150.0)
KVP = tuple(range(40, 151, 5))
TABLES = Path(__file__).parent / "tables"
CT_KVP = (80, 100, 120, 140)
"""Voltages that tables are made for; between them HU are interpolated."""
_PATIENT_CM = 18.0
"""Water that hardens the beam before it reaches the middle of a body."""


@dataclass(frozen=True)
class Tissue:
    """A kind of tissue.

    Args:
        name: Its name.
        parts: g/cm3 of each base material; nothing is air.
        texture: How much its density varies over centimetres, as a fraction.
        grain: How much it varies over a millimetre.
    """

    name: str
    parts: Mapping[str, float]
    texture: float = 0.0
    grain: float = 0.0


TISSUES: tuple[Tissue, ...] = (
    Tissue("air", {}),
    Tissue("skin", {"soft": 1.075}, 0.004),
    Tissue("fat", {"fat": 0.935}, 0.008, 0.006),
    Tissue("fascia", {"soft": 1.075}),
    Tissue("muscle", {"soft": 1.058}, 0.014),
    Tissue("tendon", {"soft": 1.095}, 0.004),
    Tissue("cartilage", {"soft": 1.085}, 0.004),
    Tissue("fluid", {"soft": 1.018}),
    Tissue("blood", {"soft": 1.047}),
    Tissue("contrast_blood", {"soft": 1.047, "iodine": 0.008}),
    Tissue("organ", {"soft": 1.050}, 0.010),
    Tissue("tumour", {"soft": 1.040}, 0.014),
    Tissue("lung", {"soft": 0.16}, 0.30, 0.40),
    Tissue("gas", {"soft": 0.01}),
    Tissue("cortex", {"soft": 0.78, "mineral": 0.96}, 0.02, 0.02),
    Tissue("trabecular", {"fat": 0.62, "soft": 0.22, "mineral": 0.17}, 0.03, 0.07),
    Tissue("marrow", {"fat": 0.89, "soft": 0.07}, 0.02),
    Tissue("steel", {"metal": 7.9}),
    Tissue("titanium", {"light_metal": 4.5}),
    Tissue("glass", {"glass": 2.4}),
    Tissue("wood", {"fat": 0.55}, 0.08),
    Tissue("plastic", {"fat": 1.20}),
    Tissue("oedema", {"soft": 1.030}, 0.010),
)
INDEX = {tissue.name: i for i, tissue in enumerate(TISSUES)}
BONES = ("cortex", "trabecular", "marrow")


def composition() -> Float:
    """Return (tissues, bases) g/cm3."""
    rows = [[t.parts.get(base, 0.0) for base in BASE_NAMES] for t in TISSUES]
    return np.array(rows)


@dataclass(frozen=True, eq=False)
class Beam:
    """A spectrum in bins.

    Args:
        kev: (n,) middle of each bin.
        fluence: (n,) photons, summing to 1.
        attenuation: (bases, n) cm2/g.
    """

    kev: Float
    fluence: Float
    attenuation: Float


@lru_cache(maxsize=64)
def beam(kvp: int, filter_mm_al: float = 3.0, bins: int = 12) -> Beam:
    """Return the spectrum of a tungsten tube, with attenuation of the base materials.

    Args:
        kvp: Tube voltage.
        filter_mm_al: Filter, mm aluminium.
        bins: Energy bins of equal fluence.
    """
    fluence = _spectrum(kvp, filter_mm_al)
    share = np.cumsum(fluence) / fluence.sum()
    which = np.minimum((share * bins).astype(int), bins - 1)
    table = _table("attenuation")

    def gather(values: Float) -> Float:
        return np.asarray(
            np.bincount(which, values * fluence, bins) / np.bincount(which, fluence, bins)
        )

    counts = np.bincount(which, fluence, bins) / fluence.sum()
    return Beam(gather(KEV), counts, np.stack([gather(table[name]) for name in BASE_NAMES]))


@lru_cache(maxsize=16)
def hu_per_density(kvp: float) -> Float:
    """Return (bases,): HU that 1 g/cm3 of each base adds to air's -1000.

    The beam is weighted by energy, as detectors do, behind a patient's worth of water.
    """
    at = np.array([_hu_row(k) for k in CT_KVP])
    return np.array([np.interp(kvp, CT_KVP, column) for column in at.T])


def tissue_hu(kvp: float) -> Float:
    """Return (tissues,): HU of every tissue at a tube voltage."""
    return np.asarray(composition() @ hu_per_density(kvp) - 1000.0)


@lru_cache(maxsize=8)
def _hu_row(kvp: int) -> Float:
    fluence = _spectrum(kvp, 7.0)
    table = _table("attenuation")
    water = table["water"]
    weight = fluence * KEV * np.exp(-water * _PATIENT_CM)
    bases = np.stack([table[name] for name in BASE_NAMES])
    return np.asarray(1000.0 * (bases * weight).sum(1) / (water * weight).sum())


def _spectrum(kvp: float, filter_mm_al: float) -> Float:
    """Return photons (len(KEV),) behind a filter, between the tabled voltages interpolated."""
    table = _table("spectra")
    low = int(np.clip(kvp // 5 * 5, KVP[0], KVP[-2]))
    share = (kvp - low) / 5
    photons = table[str(low)] * (1 - share) + table[str(low + 5)] * share
    path = ALUMINIUM_G_CM3 * filter_mm_al / 10
    return np.asarray(photons * np.exp(-_table("attenuation")["aluminium"] * path))


@lru_cache(maxsize=2)
def _table(name: str) -> dict[str, Float]:
    values = np.genfromtxt(TABLES / f"{name}.csv", delimiter=",", names=True, deletechars="")
    return {column: values[column] for column in values.dtype.names or ()}
