"""Written cases: the scenarios of the clinical basis, and fictional ones for every rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WRITTEN: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parent / "cases").glob("*.json"))
}
"""Name -> title, case (as case.json) and what is expected of its guidance."""
