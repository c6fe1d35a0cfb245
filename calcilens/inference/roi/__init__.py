"""Lesions given by hand: boxes in JSON or CSV, DICOM SEG, RTSTRUCT."""

from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import Region, place

__all__ = ["Region", "place", "read_rois"]
