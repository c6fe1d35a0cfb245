"""Coded concepts of structured results: public where a code was verified, else our own."""

from __future__ import annotations

from calcilens.vocabulary import PRIVATE_SCHEME, Code

_OWN = {
    # of a study
    "SEARCH": "Result of the search",
    "PROPOSED": "Places proposed, each to be checked",
    "NONE_PROPOSED": "No calcification proposed; one is not excluded",
    "NOTICE": "Notice",
    "NOT_USED": "Series not used",
    "LEFT_OUT": "Left out",
    "LIMITS": "Limits of the model",
    "COMPARED": "Comparison with a prior study",
    # what a model says
    "VERDICT": "Verdict of the model",
    "CALCIFIED": "Calcified",
    "NOT_CALCIFIED": "Not calcified",
    "NO_ANSWER": "No answer",
    "OUT_OF_DOMAIN": "Unlike the images that the model was trained on",
    "DOMAIN_SCORE": "Score of being unlike the training images",
    "PATTERN_SET": "Pattern that cannot be ruled out",
    "COVERAGE": "Share of true patterns that such sets hold",
    "CONCERN": "Level of concern",
    "RULES": "Concerning features by clinical rules",
    "LOW": "Low",
    "INTERMEDIATE": "Intermediate",
    "HIGH": "High",
    "UNKNOWN": "Unknown",
    # where and how a lesion lies
    "DEPTH": "Depth",
    "DEEP": "Deep to the fascia",
    "SUBCUTANEOUS": "Subcutaneous",
    "COMPARTMENT": "Compartment",
    "MUSCLE": "Muscle",
    "PERIARTICULAR": "Periarticular",
    "INTRA_ARTICULAR": "Intra-articular",
    "VASCULAR": "Vascular",
    "OTHER": "Other",
    "ZONING": "Densest part",
    "ZONAL": "Rim (zonal)",
    "REVERSE_ZONAL": "Centre (reverse-zonal)",
    "EVEN": "None: even",
    "BONE_EROSION": "Erosion of the bone beside it",
    # figures
    "SPREAD": "Mean distance of the pieces from their centre",
    "P95_HU": "95th percentile of attenuation coefficient",
    "CAHA_MASS": "Mass of calcium hydroxyapatite",
    "FASCIA_DISTANCE": "Distance from fascia",
    "BONE_DISTANCE": "Distance from bone",
    "SOFT_TISSUE": "Thickness of soft tissue around it",
    "RIM_RATIO": "Density of rim over centre",
    # what became of it
    "CHANGE": "Change since the prior study",
    "NEW": "New",
    "RAPID_GROWTH": "Rapid growth",
    "GROWN": "Grown",
    "STABLE": "Stable",
    "SHRUNK": "Shrunk",
    "NOT_COMPARABLE": "Not comparable",
    "VOLUME_RATIO": "Mineral now over mineral then",
    "INTERVAL_LOW": "Lower end of the 95 % interval",
    "INTERVAL_HIGH": "Upper end of the 95 % interval",
    "DOUBLING_TIME": "Doubling time",
    "SKIN_CHANGE": "Change of the distance from skin",
    "DAYS": "Time since the prior study",
    # what a reader says
    "READ": "Read by radiologists",
    "READER_VERDICT": "Verdict of the reader",
    "READER_PATTERN": "Pattern that the reader sees",
    "READER_CONCERN": "Level of concern of the reader",
    "CANNOT_SAY": "Cannot say",
    "CONFIDENCE": "Confidence of the reader, 1 (a guess) to 5 (certain)",
    "READER_ACTION": "What the reader did with the answer of the model",
    "AGREED": "Agreed",
    "CHANGED_FINDING": "Changed whether it is a calcification",
    "CHANGED_PATTERN": "Changed the pattern",
    "CHANGED_CONCERN": "Changed the level of concern",
    "ADDED": "Added a lesion that the program missed",
    "REDRAWN": "Outline drawn by the reader",
    "REJECTED": "Place that was proposed, and that the reader rejected",
}
"""Value and meaning of the private codes that are no patterns; docs/dicom-results.md lists them."""


def own(value: str) -> Code:
    """Return a private code."""
    return Code(value, PRIVATE_SCHEME, _OWN[value])


def said(word: str) -> Code:
    """Return the private code of a word that a report uses: "rapid growth", "intra-articular"."""
    return own(word.upper().replace(" ", "_").replace("-", "_"))


OWN_CODES = tuple(own(value) for value in _OWN)

ABNORMAL = Code("112063", "DCM", "Abnormal calcifications")
LESION = Code("52988006", "SCT", "Lesion")
YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
AI = Code("123110", "DCM", "Artificial Intelligence")
COMMENT = Code("121106", "DCM", "Comment")
OF_INTEREST = Code("113000", "DCM", "Of Interest")

PROBABILITY = Code("122157", "DCM", "Probability")
DIAMETER = Code("81827009", "SCT", "Diameter")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
VOLUME = Code("118565006", "SCT", "Volume")
PIECES = Code("111038", "DCM", "Number of calcifications")
MEAN_HU = Code("112181", "DCM", "Mean Attenuation Coefficient")
MAX_HU = Code("112180", "DCM", "Maximum Attenuation Coefficient")
CALCIUM_SCORE = Code("112058", "DCM", "Calcium score")
SKIN_DISTANCE = Code("121243", "DCM", "Distance from skin")
UNCERTAINTY = Code("371884006", "SCT", "+/-, range of measurement uncertainty")
MAXIMUM = Code("56851009", "SCT", "Maximum")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
AGATSTON = Code("112055", "DCM", "Agatston scoring method")

ONE = Code("1", "UCUM", "no units")
MM = Code("mm", "UCUM", "mm")
MM3 = Code("mm3", "UCUM", "cubic millimeter")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
MG = Code("mg", "UCUM", "milligram")
DAY = Code("d", "UCUM", "day")
PIXELS = Code("{pixels}", "UCUM", "pixels")
RATIO = Code("{ratio}", "UCUM", "ratio")

CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")

MODALITIES = {
    "CT": "Computed Tomography",
    "CR": "Computed Radiography",
    "DX": "Digital Radiography",
    "RG": "Radiographic imaging",
    "MG": "Mammography",
    "RF": "Radiofluoroscopy",
}
"""Meaning of the modalities that are read (PS3.16 CID 29)."""

SITES = {
    "ABDOMEN": ("818981001", "Abdomen"),
    "ANKLE": ("70258002", "Ankle joint"),
    "ARM": ("40983000", "Upper arm"),
    "CALCANEUS": ("80144004", "Calcaneus"),
    "CHEST": ("816094009", "Chest"),
    "ELBOW": ("16953009", "Elbow joint"),
    "FEMUR": ("71341001", "Femur"),
    "FINGER": ("7569003", "Finger"),
    "FOOT": ("56459004", "Foot"),
    "FOREARM": ("14975008", "Forearm"),
    "HAND": ("85562004", "Hand"),
    "HEAD": ("69536005", "Head"),
    "HIP": ("24136001", "Hip joint"),
    "HUMERUS": ("85050009", "Humerus"),
    "KNEE": ("72696002", "Knee"),
    "LEG": ("30021000", "Lower leg"),
    "NECK": ("45048000", "Neck"),
    "PELVIS": ("816092008", "Pelvis"),
    "SHOULDER": ("16982005", "Shoulder"),
    "SPINE": ("421060004", "Spine"),
    "THIGH": ("68367000", "Thigh"),
    "THUMB": ("76505004", "Thumb"),
    "TOE": ("29707007", "Toe"),
    "WRIST": ("74670003", "Wrist joint"),
}
"""SNOMED CT codes of values of BodyPartExamined (PS3.16 CID 4031 and annex L)."""
ANYWHERE = Code("123037004", "SCT", "Body structure (body structure)")
"""Region of an image whose file names none that is known."""
SIDES = {"L": Code("7771000", "SCT", "Left"), "R": Code("24028007", "SCT", "Right")}


def site(body_part: str | None) -> Code | None:
    """Return the code of a value of BodyPartExamined; None where there is none."""
    found = SITES.get((body_part or "").strip().upper())
    return None if found is None else Code(found[0], "SCT", found[1])
