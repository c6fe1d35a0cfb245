"""What of FHIR was not used, told by codes alone: a text or a strange code could name a patient."""

from __future__ import annotations

import re
from collections.abc import Iterable

from calcilens.guidance.terms import data

_WORD = re.compile(r"[A-Za-z_]{1,40}")
_MOST = 20


def listed(words: Iterable[str]) -> str:
    """Return words in order and once each; what is none is only counted."""
    every = sorted(set(words))
    said = [word for word in every if _WORD.fullmatch(word)]
    strange = [] if len(said) == len(every) else [f"{len(every) - len(said)} of no known form"]
    return ", ".join(said + strange)


def known(codes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the codes of systems that are known; one "other" where there is none."""
    return [pair for pair in codes if pair[0] in data("fhir")["systems"]] or [("other", "")]


def unused(name: str, codes: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each system whose codes mean no word of a case.

    Args:
        name: Kind of resource.
        codes: System, as rules/fhir.yaml calls it, or "other", and code.
    """
    by_system: dict[str, list[str]] = {}
    for system, code in codes:
        by_system.setdefault(system, []).append(code)
    return [_line(name, system, found) for system, found in sorted(by_system.items())]


def _line(name: str, system: str, codes: list[str]) -> str:
    spec = data("fhir")["systems"].get(system)
    if spec is None:
        return f"{name}: {len(codes)} without a code of a system that is known; not used"
    every = sorted(set(codes))
    said = [code for code in every if re.fullmatch(spec["form"], code)]
    more = len(every) - len(said[:_MOST])
    rest = f" and {more} more" if more else ""
    return f"{name}: {spec['name']} {', '.join(said[:_MOST]) or 'codes'}{rest}; not used"
