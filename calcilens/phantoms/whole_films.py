"""Whole radiographs with any number of lesions and mimics: what a finder of lesions learns from.

They are made at the resolution that a finder works at, so that hundreds of them are soon made.
Half of the simulated films show people as studies do, and the other half whatever patches show:
small and large lesions, also on bone, and what may be taken for a lesion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import InputError, compose
from calcilens.imaging.films import LONGEST_PX, reduced
from calcilens.imaging.images import Radiograph
from calcilens.phantoms.anatomy import SITES, Rng
from calcilens.phantoms.backgrounds import choose_background, draw_guest
from calcilens.phantoms.drafts import Job, draw_scene, patch_id
from calcilens.phantoms.film_transplants import (
    USUAL_KVP,
    USUAL_MM,
    Film,
    cast_into,
    film,
    stored,
)
from calcilens.phantoms.frames import Frame
from calcilens.phantoms.patterns import MIMIC_KINDS, draw_kind, draw_lesion, sites_of
from calcilens.phantoms.person import choose, draw_person
from calcilens.phantoms.pose import Pose
from calcilens.phantoms.radiograph import RadiographImage, projected_box, render_radiograph
from calcilens.phantoms.radiograph_patches import save_png
from calcilens.phantoms.scene import Scene
from calcilens.phantoms.segment import posed
from calcilens.phantoms.xray_settings import XRay, draw_xray

LESION, UNSURE = 255, 128
"""Values of a mask: a lesion that can be seen, and one that can hardly be."""
LEAST_SEEN = 2.5
"""Contrast over noise and clutter (see `RadiographImage`) from which a lesion can be seen."""
_PERSON_SHARE, _EMPTY_SHARE, _MASKED_SHARE, _MARKED_SHARE = 0.5, 0.15, 0.4, 0.5
_MORE = (0.4, 0.35, 0.25)
"""Chances of no, one and two lesions more than the first."""
_PIXEL_MM, _SIDE_PX, _BLADE_MM = (0.2, 0.5), (384, 1024), (4.0, 25.0)
_OFF_MM = 35.0
_GUESTS, _GUEST_MM, _NO_GUESTS = 5, 30.0, 0.25
_ABSENT = ("nothing",)
_MARKS = ("L", "R", "L", "R", "L AB", "R K", "R 12", "L 3", "AP", "PA", "STEHEND", "1/2")


@dataclass(frozen=True, eq=False)
class WholeFilm:
    """A radiograph with its truth.

    Args:
        pixels: (Y, X) uint16, bright is dense.
        mask: (Y, X) uint8: `LESION` on a lesion, `UNSURE` on one that can hardly be seen, else 0.
        told: What is true of it, for the set's list.
    """

    pixels: NDArray[np.uint16]
    mask: NDArray[np.uint8]
    told: dict[str, Any]


def write_film(job: Job, number: int) -> dict[str, Any]:
    """Write a film and its mask as PNG; return its truth."""
    made = simulated(job, number) if job.backgrounds is None else transplanted(job, number)
    name = patch_id(number)
    save_png(job.out / "images" / f"{name}.png", made.pixels)
    save_png(job.out / "masks" / f"{name}.png", made.mask)
    files = {"image": f"images/{name}.png", "mask": f"masks/{name}.png"}
    return {"id": name, "seed": job.seed, "domain": job.domain, **files, **made.told}


def simulated(job: Job, number: int) -> WholeFilm:
    """Draw and render a simulated person's film."""
    rng = job.rng(5, number)
    scene = _person(rng) if rng.random() < _PERSON_SHARE else _drafted(job, number, rng)
    xray, frame = _taken(job, rng, scene)
    image = render_radiograph(scene, xray, rng, frame.centre, frame.shape)
    mask = _mask(scene, image)
    told = {
        "background": "simulated",
        "site": scene.segment.site,
        "person": number,
        "spacing_mm": round(image.spacing_mm, 5),
        "kinds": [lesion.kind for lesion in scene.lesions],
        "visible": [round(v, 2) for v in image.visible_each],
    }
    return WholeFilm(image.pixels, mask, told)


def _person(rng: Rng) -> Scene:
    """Draw a person with two lesions, seen from any side; some have had them taken away."""
    site, patterns = choose(rng, str(rng.choice(SITES)), ())
    drawn = draw_person(rng, site, patterns).scene
    turn = float(rng.uniform(0, 2 * np.pi))
    pose = Pose.of(turn, (0, 0), (0, 0, 0))
    segment = posed(drawn.segment, -turn, np.zeros(2), np.zeros(2))
    if rng.random() < _EMPTY_SHARE:
        return Scene(segment, (draw_lesion(rng, segment, ("nothing",), view="frontal"),))
    return Scene(segment, tuple(pose.lesion(lesion) for lesion in drawn.lesions))


def _drafted(job: Job, number: int, rng: Rng) -> Scene:
    """Draw what a patch would show, and more of its kind around it."""
    draft, _ = draw_scene(job, number)
    segment = draft.scene.segment
    lesions = [draft.lesion]
    for _ in range(int(rng.choice(len(_MORE), p=_MORE))):
        names = draw_kind(rng) if rng.random() < 0.5 else (str(rng.choice(list(MIMIC_KINDS))),)
        if segment.site in sites_of(names):
            lesions.append(draw_lesion(rng, segment, names, view="frontal"))
    return Scene(segment, tuple(lesions))


def _taken(job: Job, rng: Rng, scene: Scene) -> tuple[XRay, Frame]:
    """Draw how the film is taken, and what it shows: a lesion anywhere in it."""
    xray = draw_xray(rng, job.domain, scene.segment.site)
    pixel = float(np.exp(rng.uniform(*np.log(_PIXEL_MM))))
    shape = tuple(int(n) for n in rng.integers(*_SIDE_PX, 2))
    xray = replace(
        xray,
        pixel_mm=pixel * xray.magnification,
        masked=bool(rng.random() < _MASKED_SHARE),
        marker=str(rng.choice(_MARKS)) if rng.random() < _MARKED_SHARE else "",
    )
    low, high = scene.lesions[0].box[:, [0, 2]]
    centre = (low + high) / 2 * rng.random() + rng.uniform(-_OFF_MM, _OFF_MM, 2)
    frame = Frame(centre, xray.spacing_mm, (shape[0], shape[1]), xray.turn)
    return replace(
        xray, blades_mm=_blades(rng, projected_box(scene.lesions[0], frame), frame)
    ), frame


def _blades(rng: Rng, box: NDArray[np.float64], frame: Frame) -> tuple[float, float, float, float]:
    """Draw blades a little inside the film's edges, or none; XRay counts from a lesion's box."""
    if rng.random() < 0.5:
        return (np.inf,) * 4
    inside = rng.uniform(*_BLADE_MM, 4)
    first, last = box * frame.spacing_mm
    edge = np.array(frame.shape) * frame.spacing_mm
    return (
        float(first[0] - inside[0]),
        float(edge[0] - last[0] - inside[1]),
        float(first[1] - inside[2]),
        float(edge[1] - last[1] - inside[3]),
    )


def _mask(scene: Scene, image: RadiographImage) -> NDArray[np.uint8]:
    mask = np.zeros(image.pixels.shape, np.uint8)
    order = np.argsort([v >= LEAST_SEEN for v in image.visible_each])  # what is seen counts most
    for i in order:
        if scene.lesions[i].patterns:
            seen = image.visible_each[i] >= LEAST_SEEN
            mask[image.masks[i]] = LESION if seen else UNSURE
    return mask


def transplanted(job: Job, number: int) -> WholeFilm:
    """Put lesions into a real radiograph; some are left as they are.

    Raises:
        InputError: The radiograph shows no even soft tissue.
    """
    if job.backgrounds is None:
        raise InputError(compose("a folder of real radiographs", "none", where="--backgrounds"))
    background, image = choose_background(job.backgrounds, job, number, Radiograph)
    place = _ground(image)
    if not len(place.free):
        found = f"none in series {image.series_uid}"
        raise InputError(compose("even soft tissue", found, where="--backgrounds"))
    rng = job.rng(6, number)
    log, mask = place.log.copy(), np.zeros(place.log.shape, np.uint8)
    kinds = []
    count = 0 if rng.random() < _NO_GUESTS else int(rng.integers(1, _GUESTS + 1))
    for _ in range(count):
        draft = draw_guest(rng, _GUEST_MM, _ABSENT)
        cast = cast_into(rng, draft, place, background.kvp or USUAL_KVP)
        log[cast.at] += cast.added
        if draft.lesion.patterns:
            part = mask[cast.at]
            part[cast.mask] = LESION if cast.visible >= LEAST_SEEN else UNSURE
        kinds.append(draft.lesion.kind)
    told = {
        "background": "real",
        "site": background.site,
        "person": background.person,
        "spacing_mm": None,
        "kinds": kinds,
    }
    return WholeFilm(stored(log), mask, told)


@lru_cache(maxsize=4)
def _ground(image: Radiograph) -> Film:
    """Return a real radiograph reduced to a finder's resolution, as ground for lesions."""
    small = reduced(image.pixels, LONGEST_PX)
    factor = image.pixels.shape[0] / small.shape[0]
    spacing = float(np.mean(image.spacing_mm)) if image.spacing_mm else USUAL_MM
    return film(replace(image, pixels=small, spacing_mm=(spacing * factor, spacing * factor)))
