"""Calcilens: from a DICOM study to a calcification report that a radiologist can check.

Research software, not a medical device.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("calcilens")
except PackageNotFoundError:  # a source tree on sys.path without an installation
    __version__ = "0+unknown"

MANUFACTURER, MODEL_NAME = "Calcilens", "Calcilens"
"""Equipment of the DICOM objects that reports are written as, by which they are known again."""

DISCLAIMER = (
    "Research software, not a medical device. Not for diagnosis. "
    "Every result must be checked by a radiologist."
)
