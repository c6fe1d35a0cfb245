from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from calcilens.phantoms.artefacts import hardening
from calcilens.phantoms.ct import CTImage, render_ct
from calcilens.phantoms.ct_settings import DOMAINS, KERNELS, CTSettings, draw_ct
from calcilens.phantoms.materials import BASE_NAMES, hu_per_density, tissue_hu
from calcilens.phantoms.materials import INDEX as TISSUE
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.segment import KNOTS, Segment, Z, straight
from calcilens.phantoms.solids import Grid, Solids, paint, solids
from calcilens.phantoms.tubes import Tube, ellipse

PLAIN = CTSettings(
    kvp=120, pixel_mm=0.7, thickness_mm=2.0, interval_mm=2.0, kernel="standard", sigma_mm=0.5,
    boost=0.0, noise_hu=1e-3,
)  # fmt: skip
MINERAL = float(hu_per_density(120)[BASE_NAMES.index("mineral")])


PLACES = [(y, x) for y in range(-30, 31, 12) for x in range(-30, 31, 12)]


def body(tissue: str, radius_mm: float = 60.0, x_mm: float = 0.0) -> Segment:
    """A segment of one tissue: a circle in every plane."""
    outline = ellipse(np.full(KNOTS, radius_mm), np.full(KNOTS, radius_mm))
    tube = Tube(tissue, Z, straight(0.0, x_mm), outline, "air")
    return Segment("test", (tube,), tube, tube)


def lesion(parts: Solids) -> Lesion:
    """Make a lesion that is as smooth and as even as its parts."""
    return Lesion(("diffuse",), "diffuse", parts, parts.box(), grain=0.0)


def render(
    tissue: str = "fluid",
    settings: CTSettings = PLAIN,
    *,
    parts: Solids | None = None,
    shape: tuple[int, int, int] = (3, 48, 48),
    seed: int = 0,
    x_mm: float = 0.0,
) -> CTImage:
    scene = Scene(body(tissue, x_mm=x_mm), () if parts is None else (lesion(parts),))
    return render_ct(scene, settings, np.random.default_rng(seed), np.zeros(3), shape)


@pytest.mark.parametrize("kvp", [80, 100, 120, 140])
@pytest.mark.parametrize("tissue", ["fluid", "cartilage", "contrast_blood"])
def test_a_homogeneous_body_has_the_hu_of_the_table(tissue: str, kvp: int) -> None:
    # People and scanners differ by about 1 %, so it is their mean that the table states.
    settings = replace(PLAIN, kvp=kvp, noise_hu=8.0)
    values = [render(tissue, settings, shape=(1, 16, 16), seed=s).hu.mean() for s in range(16)]
    wanted = tissue_hu(kvp)[TISSUE[tissue]]
    assert np.mean(values) == pytest.approx(wanted, abs=0.006 * (wanted + 1000))
    assert 1 < np.std(values) < 0.02 * (wanted + 1000)


@pytest.mark.parametrize(
    ("thickness", "interval"), [(0.5, 0.5), (1.0, 1.0), (3.0, 3.0), (5.0, 5.0), (3.0, 1.5)]
)
def test_planes_of_any_thickness_hold_all_the_mineral_of_a_sphere(
    thickness: float, interval: float
) -> None:
    radius, density, edge = 6.0, 0.4, 0.2
    settings = replace(PLAIN, thickness_mm=thickness, interval_mm=interval)
    planes = 2 * int(np.ceil((radius + thickness) / interval)) + 3
    ball = solids([0.3, 0.2, -0.4], [radius], density, edge=edge)
    image = render(settings=settings, parts=ball, shape=(planes, 48, 48))
    voxel = interval * settings.pixel_mm**2
    # The soft border is half inside: a shell whose share falls from 1 to 0 over `edge` radii.
    volume = 4 / 3 * np.pi * radius**3 * (1 + edge**2 / 4)
    assert image.mineral.sum() * voxel == pytest.approx(density * volume, rel=0.03)
    rise = image.clean.sum() - render(settings=settings, shape=(planes, 48, 48)).clean.sum()
    assert rise * voxel == pytest.approx(density * volume * MINERAL, rel=0.03)


def test_the_mask_is_where_a_quarter_of_a_voxel_is_mineral() -> None:
    ball = solids(np.zeros(3), [6.0], 0.5, edge=0.02)
    settings = replace(PLAIN, thickness_mm=0.5, interval_mm=0.5)
    (mask,) = render(settings=settings, parts=ball, shape=(31, 48, 48)).masks
    volume = mask.sum() * 0.5 * settings.pixel_mm**2
    # Its outline lies where a quarter is covered, about a quarter of a voxel further out.
    assert volume == pytest.approx(4 / 3 * np.pi * (6.0 + 0.7 / 4) ** 3, rel=0.02)
    assert mask[15, 24, 24]
    assert not mask[:, 0].any()


def test_a_lesion_too_thin_for_any_voxel_still_has_a_mask() -> None:
    thread = solids(np.zeros(3), [0.1, 0.1, 8.0], 1.0)
    image = render(settings=replace(PLAIN, thickness_mm=5.0, interval_mm=5.0), parts=thread)
    assert image.masks[0].any()
    assert (image.mineral[image.masks[0]] > 0).all()


def spectrum(noise: NDArray[np.float64], pixel_mm: float) -> tuple[NDArray, NDArray]:
    """Return frequencies, 1/mm, and the power of planes (Z, Y, X) in rings."""
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, pixel_mm) for n in power.shape]))
    rings = np.digitize(f, np.linspace(0.05, 0.65, 13))
    return (
        np.array([f[rings == i].mean() for i in range(1, 13)]),
        np.array([power[rings == i].mean() for i in range(1, 13)]),
    )


@pytest.mark.parametrize("kernel", ["smooth", "standard", "bone"])
def test_noise_has_the_deviation_asked_for_and_the_spectrum_of_the_kernel(kernel: str) -> None:
    family = KERNELS[kernel]
    settings = replace(
        PLAIN, noise_hu=25.0, sigma_mm=family["sigma_mm"][0], boost=family["boost"][1]
    )
    noise = render(settings=settings, shape=(24, 96, 96)).hu.astype(float)
    noise -= noise.mean((1, 2), keepdims=True)
    assert noise.std() == pytest.approx(25.0, rel=0.05)
    f, power = spectrum(noise, settings.pixel_mm)
    asked = (f + 0.02) * settings.transfer(f) ** 2
    shown = asked > 0.02 * asked.max()  # below that, rounding to whole HU is what remains
    ratio = np.log(power[shown] / asked[shown])
    assert np.ptp(ratio) < 0.5


@pytest.mark.parametrize("sigma", [0.35, 0.5, 0.8])
def test_an_edge_is_as_blurred_as_the_kernel_says(sigma: float) -> None:
    settings = replace(PLAIN, sigma_mm=sigma, pixel_mm=0.4)
    plane = render("fluid", settings, shape=(1, 128, 128), x_mm=60.0).hu[0].astype(float)
    # Along x, air turns into fluid at x = 0 but for the circle's sagitta, which is 0.05 mm here.
    step = np.diff(plane[58:70].mean(0))
    at = np.arange(len(step)) * settings.pixel_mm
    middle = (step * at).sum() / step.sum()
    inside = np.abs(at - middle) < 5 * sigma
    spread = (step * (at - middle) ** 2)[inside].sum() / step[inside].sum()
    # Differences between pixels, and the pixels themselves, add the variance of a box each.
    expected = sigma**2 + 2 * settings.pixel_mm**2 / 12
    assert np.sqrt(spread) == pytest.approx(np.sqrt(expected), rel=0.06)


def test_a_vessel_in_the_lung_has_none_of_the_lung_s_grain() -> None:
    """Voxels that both share would otherwise look calcified."""
    lung = body("lung").tubes[0]
    slim = ellipse(np.full(KNOTS, 2.2), np.full(KNOTS, 2.2))
    tubes = (lung, *(Tube("blood", Z, straight(y, x), slim, "lung") for y, x in PLACES))
    settings = replace(PLAIN, pixel_mm=1.0, noise_hu=1.0)
    scene = Scene(Segment("test", tubes, lung, lung), ())
    image = render_ct(scene, settings, np.random.default_rng(0), np.zeros(3), (12, 80, 80))
    assert 0 < image.clean.max() < 150


def test_the_strands_of_a_rough_lung_are_no_denser_than_blood() -> None:
    """Without contrast medium nothing in a lung looks calcified."""
    settings = replace(PLAIN, pixel_mm=1.0, noise_hu=1.0)
    for seed in range(5):
        tubes = body("lung").tubes
        scene = Scene(Segment("test", tubes, tubes[0], tubes[0], lungs=tubes), ())
        image = render_ct(scene, settings, np.random.default_rng(seed), np.zeros(3), (12, 80, 80))
        assert -200 < image.clean.max() < 50


def test_soft_tissue_hardens_nothing_and_metal_leaves_dark_and_bright_streaks() -> None:
    soft = np.full((2, 96, 96), 50.0, np.float32)
    rng = np.random.default_rng(0)
    assert np.all(hardening(soft, PLAIN, rng) == 0)
    metal = soft.copy()
    metal[:, 40:56, 20:30] = metal[:, 40:56, 66:76] = 20000.0
    added = np.asarray(hardening(metal, PLAIN, rng))
    between, beside = added[:, 44:52, 38:58], added[:, 5:30, 5:91]
    assert between.mean() < -30  # the dark band between two dense parts
    assert beside.max() > 5


def test_bone_is_kept_out_of_lesions_unless_they_destroy_it() -> None:
    ball = solids(np.zeros(3), [8.0], 0.5)
    for erosion in (False, True):
        scene = Scene(body("cortex"), (replace(lesion(ball), erosion=erosion),))
        image = render_ct(scene, PLAIN, np.random.default_rng(0), np.zeros(3), (1, 48, 48))
        assert bool(image.mineral.any()) is erosion


def test_solids_painted_later_take_the_place_of_earlier_ones() -> None:
    grid = Grid(np.full(3, -10.0), np.ones(3), (21, 21, 21))
    shell = solids(np.zeros((2, 3)), [[8.0], [5.0]], [0.6, 0.1], tissue="fat", edge=0.05)
    mineral, tissue = paint(shell, grid)
    assert mineral[10, 10, 10] == pytest.approx(0.1, abs=1e-6)
    assert mineral[10, 10, 17] == pytest.approx(0.6, abs=1e-6)
    assert mineral[0, 0, 0] == 0
    assert tissue[10, 10, 10] == TISSUE["fat"]


def test_sediment_lies_behind_a_level_plane() -> None:
    grid = Grid(np.full(3, -10.0), np.ones(3), (21, 21, 21))
    cyst = solids(np.zeros(3), [8.0], 0.5, level=2.0)
    mineral, _ = paint(cyst, grid)
    where = np.argwhere(mineral > 0.25)[:, 1] - 10
    assert where.min() == 2
    assert where.max() >= 7


@pytest.mark.parametrize("domain", DOMAINS)
def test_settings_stay_in_their_domain_and_small_lesions_get_thin_planes(domain: str) -> None:
    drawn = [draw_ct(np.random.default_rng(s), domain, 5.0 + s % 60) for s in range(300)]
    small = [s for i, s in enumerate(drawn) if 5.0 + i % 60 < 12]
    assert all(s.thickness_mm <= 3.0 and s.pixel_mm < 0.9 for s in small)
    assert all(0 < s.interval_mm <= s.thickness_mm for s in drawn)


def test_the_domains_share_neither_voltage_nor_kernel() -> None:
    rng = np.random.default_rng(1)
    found = {d: [draw_ct(rng, d, 30.0) for _ in range(200)] for d in DOMAINS}
    for name in ("kvp", "kernel"):
        values = [{getattr(s, name) for s in drawn} for drawn in found.values()]
        assert values[0] & values[1] == set()
        assert min(len(v) for v in values) > 1
    thickest, thinnest = (
        max(s.thickness_mm for s in found["usual"]),
        min(s.thickness_mm for s in found["unseen"]),
    )
    assert thickest < thinnest
