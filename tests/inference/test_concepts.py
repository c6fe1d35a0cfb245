from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydicom.sr._concepts_dict import concepts as dictionary

from calcilens.inference.change import Level
from calcilens.inference.export import concepts
from calcilens.vocabulary import PATTERNS, PUBLIC_CODES, Code, ConcernLevel

PAGE = Path(__file__).parents[2] / "docs" / "dicom-results.md"
UCUM = {"1", "mm", "mm3", "[hnsf'U]", "mg", "d", "{pixels}", "{ratio}"}
OWN = [*concepts.OWN_CODES, *(p.code for p in PATTERNS)]


def public() -> list[Code]:
    alone = [v for v in vars(concepts).values() if isinstance(v, Code)]
    patterns = [code for pair in PUBLIC_CODES.values() for code in pair]
    sites = [concepts.site(part) for part in concepts.SITES]
    modalities = [Code(key, "DCM", meaning) for key, meaning in concepts.MODALITIES.items()]
    return [*alone, *patterns, *modalities, *concepts.SIDES.values(), *(s for s in sites if s)]


def test_every_public_code_is_in_the_dictionary_under_its_meaning() -> None:
    names: dict[str, dict[str, Any]] = dictionary
    known = {
        (scheme, value, meaning)
        for scheme, by_name in names.items()
        for values in by_name.values()
        for value, (meaning, _) in values.items()
    }
    stated = [(c.scheme, c.value, c.meaning) for c in public() if c.scheme != "UCUM"]
    assert [code for code in stated if code not in known] == []
    assert {c.value for c in public() if c.scheme == "UCUM"} == UCUM


def test_private_codes_are_unique_and_fit_a_code_value_and_its_meaning() -> None:
    assert len({c.value for c in OWN}) == len(OWN)
    assert [c for c in OWN if len(c.value) > 16 or len(c.meaning) > 64] == []


def test_every_word_of_a_report_has_a_code() -> None:
    looks = ["subcutaneous", "deep", "muscle", "periarticular", "intra-articular", "vascular"]
    looks += ["other", "zonal", "reverse-zonal", "even", "depth", "compartment", "zoning"]
    for word in (*Level, *ConcernLevel, *looks):
        assert concepts.said(word).meaning


def test_the_docs_list_every_private_code() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(c.value, c.meaning) for c in OWN]


def test_a_part_of_the_body_that_is_not_known_has_no_code() -> None:
    assert concepts.site(" knee ") == Code("72696002", "SCT", "Knee")
    assert concepts.site("Mrs Smith") is None
    assert concepts.site(None) is None
