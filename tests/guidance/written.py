"""Written cases: the scenarios of the clinical basis, and fictional ones for every rule."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from calcilens.guidance.cases import case_from
from calcilens.guidance.evaluate import LesionGuidance, guide

WRITTEN: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parent / "cases").glob("*.json"))
}
"""Name -> title, case (as case.json) and what is expected of its guidance."""


@cache
def guidance(name: str) -> LesionGuidance:
    """Return the guidance of a written case."""
    return guide(case_from(WRITTEN[name]["case"]).facts, {}).lesions[0]
