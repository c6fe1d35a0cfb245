"""What a report can be written as; light, so that the command line can name them."""

from __future__ import annotations

from collections.abc import Iterable

FORMATS = {
    "json": "report.json, for programs",
    "html": "report.html, for people",
    "sr": "DICOM Comprehensive 3D SR by TID 1500; Comprehensive SR of radiographs",
    "sr-plain": "DICOM Comprehensive SR by TID 1500, for viewers that know no 3D SR",
    "seg": "DICOM Segmentation of the lesions",
    "saliency": "DICOM Parametric Map of a CT's saliency; fractional Segmentation on radiographs",
    "saliency-whole": "DICOM Parametric Map over all of a CT, large, for OHIF; not part of all",
    "presentation": "DICOM Presentation State with outlines and text",
    "capture": "DICOM Secondary Capture of each lesion",
    "key-objects": "DICOM Key Object Selection of the planes that matter",
    "fhir": "FHIR R4 DiagnosticReport with its Observations",
}
"""Name and what it is, in the order of writing."""
USUAL = ("json", "html")
ALL = "all"
LARGE = {"saliency-whole"}
"""Written only where asked for by name."""
OBJECTS = FORMATS.keys() - {"json", "html", "fhir"}
"""Written as DICOM objects, which an archive takes."""
_NEEDED = {"sr": "seg"}
"""What a format refers to: the report names segments, which must be there too."""


def with_needed(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return formats and those that they refer to, in the order of writing."""
    names = set(wanted)
    names |= {needed for name, needed in _NEEDED.items() if name in names}
    return tuple(name for name in FORMATS if name in names)
