"""DICOM objects of simulated studies: CT Image and Digital X-Ray (PS3.3 A.3 and A.26)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from calcilens import __version__
from calcilens.phantoms.ct import CTImage
from calcilens.phantoms.study import Visit

BODY_PARTS = {
    "calf": "LEG",
    "thigh": "THIGH",
    "forearm": "FOREARM",
    "upper arm": "UPPERARM",
    "knee": "KNEE",
    "elbow": "ELBOW",
    "ankle": "ANKLE",
    "shoulder": "SHOULDER",
    "hip": "HIP",
    "pelvis": "PELVIS",
    "thorax": "CHEST",
}
"""Defined terms of Body Part Examined (PS3.16 Annex L)."""
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
    d.BodyPartExamined = BODY_PARTS[site]
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
    d.BitsAllocated, d.BitsStored, d.HighBit = 16, 12, 11
    d.PixelRepresentation = 0
    d.PixelData = stored.astype("<u2").tobytes()


def ct_plane(visit: Visit, image: CTImage, plane: int) -> Dataset:
    """Return one CT Image."""
    settings, site = visit.scan.settings, visit.plan.chosen[0]
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
