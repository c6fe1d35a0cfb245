"""What is said about one lesion: place, figures, answers of the model, saliency."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure import Measurement
from calcilens.imaging.patches import PatchLocation, paste
from calcilens.inference.change import Change
from calcilens.vocabulary import ConcernLevel

if TYPE_CHECKING:  # it brings SimpleITK, which only a comparison needs
    from calcilens.imaging.paired import PriorView


@dataclass(frozen=True)
class Finding:
    """Whether the lesion is calcified.

    Args:
        abstained: Whether the model gives no verdict; `why` says the reason. A probability may
            still be there: undecided, or of a lesion out of domain.
    """

    probability: float | None = None
    abstained: bool = True
    why: str | None = None


@dataclass(frozen=True)
class Patterns:
    """Which pattern, given that the lesion is calcified.

    Args:
        set: The patterns that cannot be ruled out, the likeliest first. Of lesions that truly show
            a pattern, the share `coverage` has it in the set; None where that is not calibrated,
            and the set then holds nine tenths of the probability.
        abstained: Whether the model names none; `why` says the reason.
    """

    probabilities: dict[str, float] = field(default_factory=dict)
    set: list[str] = field(default_factory=list)
    coverage: float | None = None
    abstained: bool = True
    why: str | None = None


@dataclass(frozen=True)
class Concern:
    """How much the lesion asks for attention."""

    probability: float | None = None
    level: str = ConcernLevel.UNKNOWN.value
    model_reasons: list[str] = field(default_factory=list)
    rule_reasons: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class OutOfDomain:
    """How unlike the training images the lesion looks; None where the model cannot say."""

    score: float | None = None
    flag: bool | None = None


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """Where the model looked.

    Args:
        values: (S, S) float32 in 0..1 over the patch; the same for all its planes.
        location: Where the patch lies in the image.
        trust: 1 minus the likeness to the map of a network with shuffled weights.
        shown: False where the map fails that test; `why` says so.
    """

    values: NDArray[np.float32]
    location: PatchLocation
    method: str
    trust: float
    shown: bool
    why: str | None = None

    def in_plane(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the map (Y, X) in the grid of the image's planes; 0 outside the patch."""
        target = np.zeros((1, *shape), np.float32)
        place = PatchLocation((0,), self.location.origin, self.location.size)
        paste(target, self.values[None], place)
        return np.asarray(target[0])


@dataclass(frozen=True)
class Answer:
    """All that a model says of one lesion."""

    finding: Finding = Finding()
    pattern: Patterns = Patterns()
    concern: Concern = Concern()
    out_of_domain: OutOfDomain = OutOfDomain()
    model: str | None = None

    @classmethod
    def abstain(cls, why: str, model: str | None = None, **known: Any) -> Answer:
        """Make an answer that gives nothing but the reason why."""
        concern = Concern(model_reasons=[f"no answer: {why}"])
        return cls(Finding(why=why), Patterns(why=why), concern, model=model, **known)


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion of a report."""

    image: Image
    candidate: Candidate
    measured: Measurement
    answer: Answer
    saliency: SaliencyMap | None
    change: Change | None = None
    """Since a prior study, where one was given; `prior` shows its place in that study."""
    prior: PriorView | None = None

    @property
    def id(self) -> str:
        """Stable name, also of the lesion's folder."""
        return self.candidate.id

    @property
    def tracking_uid(self) -> str:
        """UID of the lesion, the same in every export and every run."""
        name = f"calcilens:{self.image.series_uid}:{self.id}"
        return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"

    @property
    def level(self) -> ConcernLevel:
        """Level of concern to show: none reassures where nobody says whether it is calcified."""
        level = ConcernLevel(self.answer.concern.level)
        hollow = level is ConcernLevel.LOW and self.answer.finding.abstained
        return ConcernLevel.UNKNOWN if hollow else level

    @property
    def key_plane(self) -> int:
        """Plane that shows the lesion best: the one that the model is asked about."""
        return self.candidate.key_plane

    @property
    def sop_uids(self) -> list[str]:
        """Instances that the lesion lies on, in order."""
        start, stop = self.candidate.box[:, 0]
        return list(dict.fromkeys(p.sop_uid for p in self.image.planes[start:stop]))

    @property
    def slices(self) -> tuple[int, int] | None:
        """First and last plane that it lies on, counted from 1; None on a radiograph."""
        if isinstance(self.image, Radiograph):
            return None
        start, stop = (int(v) for v in self.candidate.box[:, 0])
        return start + 1, stop

    @property
    def image_numbers(self) -> tuple[int, int] | None:
        """Lowest and highest number under which viewers list its planes.

        None on a radiograph, and where the files do not number each of its planes once.
        """
        if self.slices is None:
            return None
        first, last = self.slices
        numbers = [plane.number for plane in self.image.planes[first - 1 : last]]
        known = {n for n in numbers if n is not None}
        return (min(known), max(known)) if len(known) == len(numbers) else None

    @property
    def box_mm(self) -> list[list[float]] | None:
        """LPS bounds, or None on a radiograph, which has no place in the patient."""
        if isinstance(self.image, Radiograph):
            return None
        return [[float(v) for v in row] for row in self.image.affine.box_mm(self.candidate.box)]

    @property
    def box_px(self) -> list[list[int]] | None:
        """Radiographs only: first (x, y), and the (x, y) after the last, pixels."""
        if not isinstance(self.image, Radiograph):
            return None
        (_, y0, x0), (_, y1, x1) = self.candidate.box.tolist()
        return [[x0, y0], [x1, y1]]

    @property
    def centroid_mm(self) -> list[float] | None:
        """Centre of the mask, or of the box, LPS."""
        if isinstance(self.image, Radiograph):
            return None
        mask, (start, stop) = self.candidate.mask, self.candidate.box
        middle = (stop - start - 1) / 2 if mask is None else np.argwhere(mask).mean(0)
        return [float(v) for v in self.image.affine.to_mm(middle + start)]
