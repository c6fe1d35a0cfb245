"""Make the tables of spectra and attenuation anew: `python -m calcilens.phantoms.make_tables`.

Needs spekpy (Poludniowski et al. 2021) and xraydb (Elam, Ravel and Sieber 2002), which the
development set-up installs. Tables spare every user 160 MB and every start four seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from calcilens.phantoms.materials import ALUMINIUM, BASES, KEV, KVP, TABLES, WATER, Float

ANODE_DEGREES = 12


def spectra(voltages: Sequence[int] = KVP) -> pd.DataFrame:
    """Return photons a keV (rows) of an unfiltered tungsten tube, by kVp (columns), sum 1."""
    import spekpy

    columns = {}
    for kvp in voltages:
        tube = spekpy.Spek(kvp=kvp, th=ANODE_DEGREES, dk=1.0)
        kev, fluence = tube.get_spectrum(edges=False)
        row = np.interp(KEV, kev, fluence, right=0.0)
        columns[str(kvp)] = row / row.sum()
    return pd.DataFrame(columns, index=pd.Index(KEV, name="kev"))


def attenuation() -> pd.DataFrame:
    """Return mass attenuation, cm2/g, by keV (rows) and base material (columns)."""
    import xraydb

    def mixture(parts: dict[str, float]) -> Float:
        rows = [share * xraydb.mu_elam(element, KEV * 1e3) for element, share in parts.items()]
        return np.asarray(np.sum(rows, 0) / sum(parts.values()))

    named = {**BASES, "water": WATER, "aluminium": ALUMINIUM}
    columns = {name: mixture(dict(parts)) for name, parts in named.items()}
    return pd.DataFrame(columns, index=pd.Index(KEV, name="kev"))


def write(folder: Path = TABLES) -> None:
    """Write both tables."""
    folder.mkdir(exist_ok=True)
    for name, table in (("spectra", spectra()), ("attenuation", attenuation())):
        table.to_csv(folder / f"{name}.csv", float_format="%.6g")


if __name__ == "__main__":
    write()
