"""DICOM objects of simulated studies: CT Image and Digital X-Ray (PS3.3 A.3 and A.26)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from calcilens import __version__
from calcilens.phantoms.ct import CTImage
from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.films import BITS, View
from calcilens.phantoms.radiograph import RadiographImage
from calcilens.phantoms.study import Visit

BODY_PARTS = {
    "calf": ("LEG", codes.SCT.LowerLeg),
    "thigh": ("THIGH", codes.SCT.Thigh),
    "forearm": ("FOREARM", codes.SCT.Forearm),
    "upper arm": ("UPPERARM", codes.SCT.UpperArm),
    "knee": ("KNEE", codes.SCT.Knee),
    "elbow": ("ELBOW", codes.SCT.ElbowJoint),
    "ankle": ("ANKLE", codes.SCT.AnkleJoint),
    "shoulder": ("SHOULDER", codes.SCT.Shoulder),
    "hip": ("HIP", codes.SCT.HipJoint),
    "pelvis": ("PELVIS", codes.SCT.Pelvis),
    "thorax": ("CHEST", codes.SCT.Chest),
}
"""Body Part Examined (PS3.16 Annex L) and Anatomic Region (CID 4009)."""
TRUNK = ("pelvis", "thorax")
LOWEST_HU = -1024


def study_module(visit: Visit) -> Dataset:
    """Return patient, study, equipment and what says that nobody was examined."""
    d = Dataset()
    site = visit.plan.chosen[0]
    d.SpecificCharacterSet = "ISO_IR 192"
    d.PatientName, d.PatientID = f"Phantom^{site.title()}", visit.plan.patient_id()
    d.PatientBirthDate, d.PatientSex, d.QualityControlSubject = "", "", "YES"
    d.StudyInstanceUID, d.StudyID = visit.uid("study"), str(visit.number + 1)
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = visit.date
    d.StudyTime, d.SeriesTime, d.AcquisitionTime, d.ContentTime = (
        "101500",
        "101730",
        "101812",
        "101812",
    )
    d.AccessionNumber, d.ReferringPhysicianName = "", ""
    d.StudyDescription = f"Simulated {site}"
    d.BodyPartExamined = BODY_PARTS[site][0]
    d.Manufacturer, d.ManufacturerModelName = "Calcilens", "Phantom"
    d.InstitutionName, d.DeviceSerialNumber = "Simulated", str(visit.plan.seed)
    d.SoftwareVersions = __version__
    d.BurnedInAnnotation = "NO"
    d.ImageComments = "Simulated, not a patient"
    return d


def _common(visit: Visit, sop_class: str, sop_uid: str, number: int) -> Dataset:
    d = study_module(visit)
    d.SOPClassUID, d.SOPInstanceUID, d.InstanceNumber = sop_class, sop_uid, number
    d.AcquisitionNumber = 1
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return d


def _set_pixels(d: Dataset, stored: NDArray[np.uint16], photometric: str) -> None:
    """Store 12-bit values (Y, X)."""
    d.Rows, d.Columns = stored.shape
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, photometric
    d.BitsAllocated, d.BitsStored, d.HighBit = 16, BITS, BITS - 1
    d.PixelRepresentation = 0
    d.PixelData = stored.astype("<u2").tobytes()


def ct_plane(visit: Visit, settings: CTSettings, image: CTImage, plane: int) -> Dataset:
    """Return one CT Image."""
    site = visit.plan.chosen[0]
    d = _common(visit, CTImageStorage, visit.uid("plane", plane), plane + 1)
    d.Modality, d.SeriesInstanceUID, d.SeriesNumber = "CT", visit.uid("series"), 1
    d.SeriesDescription, d.ProtocolName = f"Axial {settings.kernel}", f"{site.title()}"
    if site not in TRUNK:
        d.Laterality = "L"
    d.PatientPosition = "HFS" if site in TRUNK else "FFS"
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = visit.uid("frame"), ""
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.KVP, d.ConvolutionKernel = f"{settings.kvp:g}", settings.kernel.upper()
    d.XRayTubeCurrent, d.ExposureTime, d.Exposure = 120, 500, 60
    d.GantryDetectorTilt, d.RotationDirection = 0, "CW"
    d.DataCollectionDiameter = 500
    d.ReconstructionDiameter = round(image.hu.shape[2] * settings.pixel_mm, 3)
    d.SliceThickness = settings.thickness_mm
    d.PixelSpacing = [settings.pixel_mm, settings.pixel_mm]
    d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    z, y, x = (round(float(v), 4) for v in image.start)
    z = round(z + plane * settings.interval_mm, 4)
    d.ImagePositionPatient, d.SliceLocation = [x, y, z], z
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = LOWEST_HU, 1, "HU"
    d.WindowCenter, d.WindowWidth = [60, 400], [400, 1800]
    d.WindowCenterWidthExplanation = ["SOFT TISSUE", "BONE"]
    stored = image.hu[plane].astype(np.int32) - LOWEST_HU
    _set_pixels(d, stored.astype(np.uint16), "MONOCHROME2")
    return d


_VIEWS = {
    # View Position, its code, and what lies to the right and below in the image
    "ap": ("AP", codes.SCT.AnteroPosterior, ["L", "F"]),
    "lateral": ("LL", codes.SCT.LateralProjection, ["P", "F"]),
}
_DETECTOR_MM = 1100.0
"""Distance from the source to the detector."""
INVERTED = "lateral"
"""The view that is stored as MONOCHROME1."""


def dx_image(visit: Visit, view: View, image: RadiographImage, number: int) -> Dataset:
    """Return one Digital X-Ray Image for presentation."""
    d = _common(visit, DigitalXRayImageStorageForPresentation, visit.uid("view", view.name), number)
    d.Modality, d.SeriesInstanceUID, d.SeriesNumber = "DX", visit.uid("series"), 1
    d.SeriesDescription = "Two views"
    d.PresentationIntentType, d.AcquisitionContextSequence = "FOR PRESENTATION", Sequence()
    d.ImageType = ["ORIGINAL", "PRIMARY", ""]
    position, code, orientation = _VIEWS[view.name]
    d.ViewPosition, d.PatientOrientation = position, orientation
    site = visit.plan.chosen[0]
    d.ViewCodeSequence, d.AnatomicRegionSequence = _coded(code), _coded(BODY_PARTS[site][1])
    d.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    d.ImageLaterality = "U" if site in TRUNK else "L"
    _set_geometry(d, view)
    inverted = view.name == INVERTED
    d.PixelIntensityRelationship = "LOG"
    d.PixelIntensityRelationshipSign = 1 if inverted else -1
    d.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = 0, 1, "US"
    d.WindowCenter, d.WindowWidth = 2 ** (BITS - 1), 2**BITS
    d.LossyImageCompression, d.AcquisitionDeviceProcessingDescription = "00", view.xray.processing
    stored = 2**BITS - 1 - image.pixels if inverted else image.pixels
    _set_pixels(d, stored, "MONOCHROME1" if inverted else "MONOCHROME2")
    return d


def _coded(code: Code) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return Sequence([item])


def _set_geometry(d: Dataset, view: View) -> None:
    """Set beam and spacing: on the detector as measured, in the lesion's plane as corrected."""
    xray = view.xray
    d.KVP, d.FocalSpots, d.Exposure = xray.kvp, xray.focal_mm, 4
    d.DetectorType, d.DetectorID = "SCINTILLATOR", "PHANTOM"
    d.Grid, d.PositionerType = "FIXED" if xray.grid else "NONE", "COLUMN"
    d.DistanceSourceToDetector = _DETECTOR_MM
    d.DistanceSourceToPatient = round(_DETECTOR_MM / xray.magnification, 2)
    d.EstimatedRadiographicMagnificationFactor = xray.magnification
    d.ImagerPixelSpacing = [xray.pixel_mm, xray.pixel_mm]
    spacing = round(xray.spacing_mm, 6)
    d.PixelSpacing, d.PixelSpacingCalibrationType = [spacing, spacing], "GEOMETRY"
    d.PixelSpacingCalibrationDescription = "Magnification of the middle of the limb is known"
