"""What a card must say, and in which form; importable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from calcilens.errors import ModelError, compose

_NEEDED = ("name", "modality", "network")
_TEXTS = ("name", "modality", "version", "date", "task", "sha256")


def check_card(card: Any, where: str) -> dict[str, Any]:
    """Return a card whose fields can be relied on; those that are optional may be missing.

    Raises:
        ModelError: It is no object, or a field is missing or of another kind.
    """
    if not isinstance(card, dict) or not set(_NEEDED) <= card.keys():
        raise ModelError(compose(f"a card with {', '.join(_NEEDED)}", "others", where=where))
    for key in _TEXTS:
        _require(isinstance(card.get(key, ""), str), card, key, "text", where)
    _require(isinstance(card["network"], dict), card, "network", "settings by name", where)
    limits = card.get("limits", "")
    lines = isinstance(limits, list) and all(isinstance(line, str) for line in limits)
    _require(lines or isinstance(limits, str), card, "limits", "text or a list of it", where)
    return card


def number(
    card: Mapping[str, Any], key: str, least: float, most: float, *, where: str, whole: bool = False
) -> float:
    """Return a number of a card.

    Args:
        card: The card, or settings on it.
        key: Which number.
        least: The smallest that makes sense.
        most: The largest.
        where: Names the card in messages.
        whole: Whether it must be a whole number.

    Raises:
        ModelError: It is missing, no finite number, or beyond the limits.
    """
    value: Any = card.get(key)
    kinds = int if whole else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool) and isfinite(value)
    kind = "a whole number" if whole else "a number"
    wanted = f"{kind} from {least:g} to {most:g}"
    _require(good and least <= value <= most, card, key, wanted, where)
    return float(value)


def _require(good: bool, card: Mapping[str, Any], key: str, wanted: str, where: str) -> None:
    if not good:
        found = repr(card.get(key))[:60]
        fix = "take the file and its card from the same place again"
        raise ModelError(compose(f"{wanted} as {key} on the card", found, where=where, fix=fix))
