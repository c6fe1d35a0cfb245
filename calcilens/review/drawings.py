"""Whether what a reader drew lies in the image that it is said of."""

from __future__ import annotations

from calcilens.errors import NotThere, ReviewError, compose
from calcilens.review.answers import Answer
from calcilens.review.desk import Desk
from calcilens.review.masks import unpacked
from calcilens.review.reading import Place
from calcilens.review.reports import Report
from calcilens.review.state import Box


def place_in(desk: Desk, report: Report, number: int, box: Box) -> Place:
    """Return a place in an image of a study.

    Raises:
        ReviewError: The images are not ready, or the box lies outside.
        NotThere: The study has no such image.
    """
    images = desk.pictures.images(report)
    if not images:
        raise ReviewError("the images of this study are not ready; ask again")
    if number >= len(images):
        raise NotThere(compose(f"an image below {len(images)}", str(number)))
    image = images[number]
    z, y, x = image["shape"] if image["kind"] == "volume" else (1, *image["shape"])
    return Place(number, image["series_uid"], (z, y, x), box)


def check_drawn(desk: Desk, report: Report, lesion: str, answer: Answer) -> Answer:
    """Return the answer, of which box and mask lie in the lesion's image.

    Raises:
        ReviewError: They do not.
        NotThere: There is no such lesion or mask.
    """
    if answer.box is None and answer.mask is None:
        return answer
    added = desk.reading.state(report.study_uid).added.get(lesion)
    image = report.place(lesion).image if added is None else added.image
    if answer.box is not None:
        place_in(desk, report, image, answer.box)
    if answer.mask is not None:
        drawn = unpacked(report.study_uid, desk.attachments.get(answer.mask))
        if drawn["image"] != image:
            found = f"one of image {drawn['image']}"
            raise ReviewError(compose(f"a mask of image {image}", found, where="mask"))
    return answer
