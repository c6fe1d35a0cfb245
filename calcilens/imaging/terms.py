"""What a file may say of an image in words: known terms and codes, never the text itself.

A body part, a view or a number that was typed by hand may hold a patient's name or number. What is
not one of the terms below counts as not stated.
"""

from __future__ import annotations

import re
from typing import Any

from pydicom.dataset import Dataset

_TERMS = (
    "3RDVENTRICLE 4THVENTRICLE ABDOMEN ABDOMENPELVIS ABDOMINALAORTA ACA ACJOINT ADRENAL "
    "AMNIOTICFLUID ANKLE ANTCARDIACV ANTCOMMA ANTECUBITALV ANTSPINALA ANTTIBIALA "
    "ANUSRECTUMSIGMD AORTA AORTICARCH APPENDIX ARTERY ASCAORTA ASCENDINGCOLON AXILLA AXILLARYA "
    "AXILLARYV AZYGOSVEIN BACK BASILARA BILEDUCT BILIARYTRACT BLADDER BLADDERURETHRA BRACHIALA "
    "BRACHIALV BRAIN BREAST BRONCHUS BULB BUTTOCK CALCANEUS CALF CARDIOVASCSYS CAROTID CCA "
    "CELIACA CEPHALICV CEREBELLUM CEREBHEMISPHERE CEREBRALA CERVIX CFA CFV CHEEK CHEST "
    "CHESTABDOMEN CHESTABDPELVIS CHOROIDPLEXUS CIRCLEOFWILLIS CLAVICLE COCCYX COLON COMILIACA "
    "COMILIACV COMMONBILEDUCT CORNEA CORONARYARTERY CORONARYSINUS CSPINE CTSPINE CULDESAC "
    "DESCAORTA DESCENDINGCOLON DUODENUM EAC EAR ECA ELBOW ENDOARTERIAL ENDOCARDIAC "
    "ENDOESOPHAGEAL ENDOMETRIUM ENDONASAL ENDONASOPHARYNYX ENDORECTAL ENDORENAL ENDOURETERIC "
    "ENDOURETHRAL ENDOVAGINAL ENDOVASCULAR ENDOVENOUS ENDOVESICAL EPIDIDYMIS EPIGASTRIC "
    "ESOPHAGUS EXTILIACA EXTILIACV EXTJUGV EXTREMITY EYE EYELID FACE FACIALA FEMORALA FEMORALV "
    "FEMUR FIBULA FINGER FLANK FONTANEL FOOT FOREARM GALLBLADDER GASTRICV GENICULARA GESTSAC "
    "GLUTEAL GSV HAND HEAD HEADNECK HEART HEPATICA HEPATICV HIP HUMERUS HYPOGASTRIC HYPOPHARYNX "
    "IAC ICA ILEUM ILIACA ILIACV ILIUM INFMESA INFVENACAVA INGUINAL INNOMINATEA INNOMINATEV "
    "INTILIACA INTJUGULARV INTMAMMARYA INTRACRANIAL JAW JEJUNUM JOINT KIDNEY KNEE LACRIMALA "
    "LARGEINTESTINE LARYNX LATRIUM LATVENTRICLE LFEMORALA LHEPATICV LHYPOCHONDRIAC LINGUALA "
    "LINGUINAL LIVER LLQ LLUMBAR LOWERLEG LOWERLIMB LOWERTRUNK LPORTALV LPULMONARYA LSPINE "
    "LSSPINE LSUPPULMONARYV LUMBAR LUMBARA LUMEN LUNG LUQ LVENTRICLE MANDIBLE MASTOID MAXILLA "
    "MCA MEDIASTINUM MESENTRICA MESENTRICV MIDHEPATICV MORISONSPOUCH MOUTH NASOPHARYNX NECK "
    "NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE OCCIPTALV OCCPITALA OPHTHALMICA "
    "OPTICCANAL ORBIT OVARY PANCBILEDUCT PANCREAS PANCREATICDUCT PARASTERNAL PARATHYROID "
    "PAROTID PATELLA PCA PELVIS PELVISLOWEXTREMT PENILEA PENIS PERINEUM PERONEALA PHANTOM "
    "PHARYNX PHARYNXLARYNX PLACENTA POPLITEALA POPLITEALFOSSA POPLITEALV PORTALV POSCOMMA "
    "POSTIBIALA PROFFEMA PROFFEMV PROSTATE PULMONARYA PULMONARYV RADIALA RADIUS RADIUSULNA "
    "RATRIUM RECTUM RENALA RENALV RETROPERITONEUM RFEMORALA RHEPATICV RHYPOCHONDRIAC RIB "
    "RINGUINAL RLQ RLUMBAR RPORTALV RPULMONARYA RSUPPULMONARYV RUQ RVENTRICLE SAPHENOUSV SCALP "
    "SCAPULA SCJOINT SCLERA SCROTUM SELLA SEMVESICLE SESAMOID SFA SFJ SFV SHOULDER SIGMOID "
    "SIJOINT SKULL SMA SMALLINTESTINE SPINALCORD SPINE SPLEEN SPLENICA SPLENICV SSPINE STERNUM "
    "STOMACH SUBCLAVIANA SUBCLAVIANV SUBCOSTAL SUBMANDIBULAR SUPRACLAVICULAR SUPRAPUBIC "
    "SUPTHYROIDA SVC TESTIS THALAMUS THIGH THORACICAORTA THORAX THUMB THYMUS THYROID TIBIA "
    "TIBIAFIBULA TLSPINE TMJ TOE TONGUE TRACHEA TRACHEABRONCHUS TRANSVERSECOLON TRUNK TSPINE "
    "ULNA ULNARA UMBILICAL UMBILICALA UMBILICALV UPPERARM UPPERLIMB UPPERTRUNK UPRURINARYTRACT "
    "URETER URETHRA UTERUS VAGINA VEIN VERTEBRALA VULVA WHOLEBODY WRIST ZYGOMA ARM LEG "
)
_BODY_PARTS = frozenset(_TERMS.split())
"""Terms of BodyPartExamined (PS3.16 Annex L, table L-1); ARM and LEG are of earlier editions."""
_SPELLINGS = {
    "CERVICALSPINE": "CSPINE", "THORACICSPINE": "TSPINE", "LUMBARSPINE": "LSPINE",
    "LUMBOSACRALSPINE": "LSSPINE", "TIBFIB": "TIBIAFIBULA",
    "LOWEREXTREMITY": "LOWERLIMB", "UPPEREXTREMITY": "UPPERLIMB",
}  # fmt: skip
"""Other usual words for a term."""
_VIEWS = {
    "AP": "AP", "PA": "PA", "LAT": "lateral", "LATERAL": "lateral",
    "LL": "left lateral", "RL": "right lateral",
    "LLD": "left lateral decubitus", "RLD": "right lateral decubitus",
    "LLO": "left lateral oblique", "RLO": "right lateral oblique",
    "LAO": "left anterior oblique", "RAO": "right anterior oblique",
    "LPO": "left posterior oblique", "RPO": "right posterior oblique",
    "OBL": "oblique", "OBLIQUE": "oblique", "AX": "axial", "AXIAL": "axial",
    "TAN": "tangential", "TANGENTIAL": "tangential",
    "CC": "cranio-caudal", "MLO": "medio-lateral oblique", "LMO": "latero-medial oblique",
    "ML": "medio-lateral", "LM": "latero-medial",
}  # fmt: skip
"""Terms of ViewPosition (PS3.3 C.8.1.1, C.8.11.5) and other usual ones."""
_VIEW_CODES = {
    "399348003": "AP", "R-10206": "AP",
    "272479007": "PA", "R-40888": "PA",
    "399312000": "AP oblique", "R-10208": "AP oblique",
    "399059000": "PA oblique", "R-10216": "PA oblique",
    "399067008": "lateral", "R-102CD": "lateral",
    "399173006": "left lateral", "R-10236": "left lateral",
    "399198007": "right lateral", "R-10232": "right lateral",
    "260427002": "lateral oblique", "R-40783": "lateral oblique",
    "260426006": "medial oblique", "R-40782": "medial oblique",
    "399182000": "oblique", "R-102C1": "oblique",
    "399184004": "left oblique", "R-10238": "left oblique",
    "399236003": "right oblique", "R-10234": "right oblique",
    "399135007": "left anterior oblique", "R-10220": "left anterior oblique",
    "399356000": "right anterior oblique", "R-40985": "right anterior oblique",
    "399006002": "left posterior oblique", "R-10212": "left posterior oblique",
    "399038007": "right posterior oblique", "R-10210": "right posterior oblique",
    "399061009": "axial", "R-10241": "axial",
    "399110001": "tangential", "R-102C2": "tangential",
    "399033003": "frontal", "R-10202": "frontal",
    "30730003": "sagittal", "G-A145": "sagittal",
    "399335002": "dorsoplantar", "R-102C4": "dorsoplantar",
    "399071006": "plantodorsal", "R-102C3": "plantodorsal",
    "399162004": "cranio-caudal", "R-10242": "cranio-caudal",
    "399196006": "caudo-cranial", "R-10244": "caudo-cranial",
    "399368009": "medio-lateral oblique", "R-10226": "medio-lateral oblique",
    "399099002": "latero-medial oblique", "R-10230": "latero-medial oblique",
    "399260004": "medio-lateral", "R-10224": "medio-lateral",
    "399352003": "latero-medial", "R-10228": "latero-medial",
}  # fmt: skip
"""Codes of views (PS3.16 CID 4010 and 4014), SNOMED CT and the older SRT."""
_MOST = 99_999
"""No series or stack has so many; the number of a patient often is higher."""


def body_part(tags: Dataset) -> str | None:
    """Return BodyPartExamined as a term of the standard; None where it is none."""
    value = re.sub(r"[ _-]", "", str(tags.get("BodyPartExamined") or "")).upper()
    term = _SPELLINGS.get(value, value)
    return term if term in _BODY_PARTS else None


def view(tags: Dataset) -> str | None:
    """Return from where a film was taken, by its ViewCodeSequence, else by its ViewPosition."""
    try:
        coded = str(tags.ViewCodeSequence[0].CodeValue).strip().upper()
    except Exception:  # pydicom raises anything on broken values
        coded = ""
    return _VIEW_CODES.get(coded) or _VIEWS.get(str(tags.get("ViewPosition") or "").strip().upper())


def side(*stated: Any, known: str = "LRB") -> str | None:
    """Return the first of some lateralities that is known: L, R, or B for both sides."""
    return next((one for one in map(str, stated) if one and one in known), None)


def number(value: Any) -> int | None:
    """Return the number of an image or a series; None where it is missing, or can be none."""
    try:
        whole = int(value)
    except (TypeError, ValueError):
        return None
    return whole if 0 <= whole <= _MOST else None
