"""What a report's folder holds, for who reads it: needs no torch."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA_VERSION = "1.0"
SCHEMA_PATH = Path(__file__).with_name("report.schema.json")
SALIENCY = "saliency.nii.gz"
"""In the folder of a lesion whose saliency is shown."""


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of report.json."""
    return dict(json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
