"""Fields of FHIR resources, read with their names, so that an error can say which one is broken.

Values of patients are never part of an error: only names of fields and kinds of values are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from calcilens.errors import CaseError, compose
from calcilens.guidance.terms import data

_KINDS = {str: "a text", dict: "an object", list: "a list", bool: "true or false"}
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


def kind(value: Any) -> str:
    """Say what a value of JSON is, without the value."""
    return "nothing" if value is None else _KINDS.get(type(value), "a number")


@dataclass(frozen=True)
class Node:
    """An object of JSON and its place.

    Args:
        value: The object.
        where: Its name in an error, such as "Condition[3].code".
        url: Address of a resource in its bundle; None where it has none.
    """

    value: Mapping[str, Any]
    where: str
    url: str | None = None

    @classmethod
    def of(cls, value: Any, where: str) -> Node:
        """Return the node of a value.

        Raises:
            CaseError: It is no object.
        """
        if not isinstance(value, Mapping):
            raise _broken("an object", value, where)
        return cls(value, where)

    def text(self, key: str) -> str | None:
        """Return a text; None where there is none.

        Raises:
            CaseError: It is something else.
        """
        found = self.value.get(key)
        if found is not None and not isinstance(found, str):
            raise _broken("a text", found, f"{self.where}.{key}")
        return found

    def number(self, key: str) -> float | None:
        """Return a number; None where there is none.

        Raises:
            CaseError: It is something else.
        """
        found = self.value.get(key)
        if isinstance(found, bool) or not isinstance(found, int | float | None):
            raise _broken("a number", found, f"{self.where}.{key}")
        return found

    def child(self, key: str) -> Node | None:
        """Return the object in a field; None where there is none.

        Raises:
            CaseError: It is something else.
        """
        found = self.value.get(key)
        return None if found is None else Node.of(found, f"{self.where}.{key}")

    def children(self, key: str) -> list[Node]:
        """Return the objects of a list; none where there is no list.

        Raises:
            CaseError: It is something else.
        """
        found = self.value.get(key)
        if found is None:
            return []
        if not isinstance(found, list):
            raise _broken("a list", found, f"{self.where}.{key}")
        return [Node.of(one, f"{self.where}.{key}[{n}]") for n, one in enumerate(found)]

    def day(self, key: str) -> str | None:
        """Return the date of a date or time, as far as it is known: "2024", "2024-05-31".

        Raises:
            CaseError: It is no date.
        """
        text = self.text(key)
        if text is None:
            return None
        found, rest = text.partition("T")[0], text.partition("T")[1]
        if not _DATE.fullmatch(found) or (rest and len(found) < 10) or not _in_calendar(found):
            raise _broken("a date such as 2024, 2024-05 or 2024-05-31", text, f"{self.where}.{key}")
        return found

    def period_day(self, key: str, end: str) -> str | None:
        """Return the day on which a period starts or ends; None where that is not said."""
        period = self.child(key)
        return None if period is None else period.day(end)

    def codes(self, key: str) -> list[tuple[str, str]]:
        """Return system and code of every coding in a field that is a CodeableConcept.

        A system that rules/fhir.yaml names is called as there, another one "other".
        """
        concept = self.child(key)
        codings = [] if concept is None else concept.children("coding")
        names = {spec["uri"]: name for name, spec in data("fhir")["systems"].items()}
        pairs = [(names.get(c.text("system") or "", "other"), c.text("code")) for c in codings]
        return [(system, code.strip()) for system, code in pairs if code]


def _broken(expected: str, found: Any, where: str) -> CaseError:
    what = "another text" if expected.startswith("a date") else kind(found)
    return CaseError(compose(expected, what, where=where))


def _in_calendar(text: str) -> bool:
    year, month, day = (*map(int, text.split("-")), 1, 1)[:3]
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
