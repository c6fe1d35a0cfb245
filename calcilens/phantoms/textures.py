"""Fine structure of a radiograph that is too small for the anatomy: trabeculae, septa, streaks.

Every texture is noise shaped in the frequency domain, in mm and along the limb, so that it
looks the same at every pixel size and turns with the image.
"""

from __future__ import annotations

import numpy as np

from calcilens.phantoms.frames import Frame
from calcilens.phantoms.materials import BASE_NAMES
from calcilens.phantoms.projection import CHANNELS
from calcilens.phantoms.solids import Field, Float

_TRABECULAR, _LUNG = CHANNELS.index("trabecular"), CHANNELS.index("lung")
_SOFT, _FAT, _MINERAL = (BASE_NAMES.index(name) for name in ("soft", "fat", "mineral"))
_TRABECULAR_G_CM3 = 0.17
_LUNG_G_CM3 = 0.16


def add_textures(mass: Field, frame: Frame, rng: np.random.Generator) -> Field:
    """Add textures to the masses (channels, Y, X) of a frame, in place.

    Returns:
        (Y, X) g/cm2: standard deviation of the mineral of spongy bone, in which lesions hide.
    """
    strands = _clouds(rng, frame)
    soft = mass[_SOFT]
    # A centimetre of muscle holds a fraction of a millimetre of fat more here than there.
    exchanged = np.sqrt(np.maximum(soft, 0)) * strands * rng.uniform(0.03, 0.10)
    exchanged = np.minimum(exchanged, soft)
    mass[_SOFT] = np.maximum(soft - exchanged, 0)
    mass[_FAT] = np.maximum(mass[_FAT] + 0.93 * exchanged, 0)
    lung = mass[_LUNG]
    if lung.max() > 0:
        mass[_SOFT] += _LUNG_G_CM3 * np.sqrt(lung) * strands * rng.uniform(0.2, 0.5)
    spongy = mass[_TRABECULAR]
    depth = rng.uniform(0.25, 0.55) / np.sqrt(1 + 1.5 * spongy)
    uneven = np.asarray(_TRABECULAR_G_CM3 * spongy * depth, np.float32)
    if spongy.max() > 0.02:
        mass[_MINERAL] += uneven * _trabeculae(rng, frame)
    np.maximum(mass, 0, out=mass)
    return uneven


def _frequencies(frame: Frame) -> tuple[Float, Float]:
    """Return spatial frequencies along z and x at every point of a real spectrum, 1/mm."""
    rows, columns = frame.shape
    f_row = np.fft.fftfreq(rows, frame.spacing_mm).astype(np.float32)[:, None]
    f_column = np.fft.rfftfreq(columns, frame.spacing_mm).astype(np.float32)[None]
    (row_z, row_x), (column_z, column_x) = (frame.axes / frame.spacing_mm).astype(np.float32)
    return f_row * row_z + f_column * column_z, f_row * row_x + f_column * column_x


def _shaped(rng: np.random.Generator, frame: Frame, amplitude: Float) -> Field:
    """Return noise (Y, X) of unit size with a given spectrum."""
    shape = amplitude.shape
    wave = rng.standard_normal((2, *shape), dtype=np.float32)
    spectrum = (wave[0] + 1j * wave[1]) * amplitude.astype(np.float32)
    spectrum[0, 0] = 0
    out = np.fft.irfft2(spectrum, s=frame.shape).astype(np.float32)
    return np.asarray(out / max(float(out.std()), 1e-12), np.float32)


def _clouds(rng: np.random.Generator, frame: Frame) -> Field:
    """Return soft variation (Y, X): even clouds, and strands along the limb."""
    f_z, f_x = _frequencies(frame)
    even = (f_z**2 + f_x**2 + 0.02**2) ** -0.75
    strands = ((5 * f_z) ** 2 + f_x**2 + 0.03**2) ** -0.7
    share = rng.uniform(0.3, 1.5)
    return _shaped(rng, frame, even + share * strands)


def _trabeculae(rng: np.random.Generator, frame: Frame) -> Field:
    """Return a net of fine bright lines (Y, X), mostly along the bone, around 0.

    Fine struts near one side of the bone stand out as lines; the many layers behind add up to
    coarser, softer ones.
    """
    f_z, f_x = _frequencies(frame)
    lean, period = rng.normal(0, 0.2), rng.uniform(0.7, 1.2)
    total = np.zeros(frame.shape, np.float32)
    for turn, share in zip(rng.normal([0.15, -0.25, 1.3], 0.15), (0.5, 0.4, 0.25), strict=True):
        c, s = np.cos(lean + turn), np.sin(lean + turn)
        total += np.float32(share) * _lines(
            rng, frame, c * f_z + s * f_x, c * f_x - s * f_z, period
        )
    coarse = 0.5 * (rng.uniform(2.0, 3.5) ** 2)
    soft = _shaped(rng, frame, np.exp(-coarse * (2 * f_z**2 + f_x**2)))
    return np.asarray(total + np.float32(0.5) * soft, np.float32)


def _lines(
    rng: np.random.Generator, frame: Frame, along: Float, across: Float, period_mm: float
) -> Field:
    """Return bright lines, drawn out along them, where noise passes through 0."""
    width = np.exp(-0.5 * ((np.abs(across) - 0.5 / period_mm) * 2.2 * period_mm) ** 2)
    noise = _shaped(rng, frame, width * np.exp(-0.5 * (along * 6.0 * period_mm) ** 2))
    return np.asarray((0.798 - np.abs(noise)) / 0.603, np.float32)
