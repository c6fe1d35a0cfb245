"""Models as contributing equipment: what IHE AI Results asks for (RAD TF-3 6.5.3.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from calcilens import MANUFACTURER
from calcilens.inference.export.remarks import clean
from calcilens.inference.predictor import Described
from calcilens.inference.report import StudyReport, model_facts

_LONGEST = 64
"""Characters of a value LO (PS3.5 6.2)."""


def name_models(built: Dataset, report: StudyReport) -> None:
    """Add each model that could answer to what contributed to an object."""
    if report.models:
        already = built.get("ContributingEquipmentSequence", [])
        built.ContributingEquipmentSequence = [*already, *map(_item, report.models)]


def _item(model: Described) -> Dataset:
    facts, item = model_facts(model), Dataset()
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = clean(facts["name"])[:_LONGEST]
    item.SoftwareVersions = clean(facts["version"])[:_LONGEST]
    item.ContributionDescription = f"Network, weights with SHA-256 {facts['sha256']}"
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "109102", "DCM"
    purpose.CodeMeaning = "Processing Equipment"
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item
