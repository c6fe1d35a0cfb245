"""What is drawn by hand or elsewhere: lesions (JSON, CSV, DICOM SEG, RTSTRUCT) and bones."""

from calcilens.inference.roi.bones import Fit, fit_bones, read_bones
from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import Region, place

__all__ = ["Fit", "Region", "fit_bones", "place", "read_bones", "read_rois"]
