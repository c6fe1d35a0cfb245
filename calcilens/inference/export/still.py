"""A picture of each lesion that needs no viewer: for paper, and for a browser without scripts."""

from __future__ import annotations

import numpy as np

from calcilens.imaging.images import Radiograph
from calcilens.inference.export.pictures import display_plane, frame
from calcilens.inference.export.viewer import letters
from calcilens.inference.export.views import Style, View, view
from calcilens.inference.lesions import Lesion

_STYLE = Style(longest=320, font=18, lossless=False)


def still(lesion: Lesion, number: int) -> View:
    """Return a lesion close up in the plane that shows it best, with its box."""
    image, part = lesion.image, frame(lesion)
    corner = np.array([part[0].start, part[1].start])
    box = (lesion.candidate.box[:, 1:] - corner).astype(float)
    spacing = image.spacing_mm or (1.0, 1.0)
    plane = "" if isinstance(image, Radiograph) else f"Slice {lesion.key_plane + 1}"
    sides = tuple((letters(image) or {}).values())
    cut = display_plane(lesion, lesion.key_plane)[part]
    called = ("close-up", plane)
    order = (sides[0], sides[1], sides[2], sides[3]) if sides else ()
    return view(called, cut, (spacing[-2], spacing[-1]), {number: box}, letters=order, style=_STYLE)
