"""Guidance as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MOST_CONDITIONS = 6


def text(guidance: Mapping[str, Any]) -> str:
    """Return the guidance of `document` as lines."""
    return "\n".join(_lines(guidance)) + "\n"


def _lines(guidance: Mapping[str, Any]) -> Iterator[str]:
    yield guidance["notice"]
    yield ""
    yield from (_headline(lesion) for lesion in guidance["lesions"])
    yield from _listed("What is missing of the initial assessment", guidance["missing"])
    for lesion in guidance["lesions"]:
        yield from _lesion(lesion)
    pitfalls = [s for s in guidance["pitfalls"] if s["standing"] == "present"]
    yield from _listed("Pitfalls that this is open to", pitfalls)
    if guidance["laboratory"]:
        yield from ("", "Laboratory")
        yield from (f"  {_value(v)}" for v in guidance["laboratory"])
    if guidance["worth"]:
        yield from ("", "What a flag of the network is worth")
        yield from (f"  {_worth(w)}" for w in guidance["worth"])
    if guidance["remarks"]:
        yield from ("", "Not used, or not understood")
        yield from (f"  {remark}" for remark in guidance["remarks"])
    yield from ("", "Sources")
    yield from (f"  {key}  {s['by']}. {s['title']}" for key, s in guidance["sources"].items())


def _headline(lesion: Mapping[str, Any]) -> str:
    """Return what matters of a lesion in one line."""
    features = lesion["concern"]["features"]
    present = [s["say"] for s in features if s["standing"] == "present"]
    lead = lesion["differential"][0]["name"] if lesion["differential"] else "nothing known"
    concern = f"concerning: {', '.join(present)}" if present else {
        "open": "no concerning feature is known, and some are not excluded",
        "none known": "no concerning feature",
    }[lesion["concern"]["standing"]]  # fmt: skip
    return f"{lesion['lesion'] or 'The lesion'}: {concern}; first of the differential: {lead}"


def _lesion(lesion: Mapping[str, Any]) -> Iterator[str]:
    name = lesion["lesion"]
    yield from ("", f"LESION {name}" if name else "THE LESION")
    for fact in lesion["facts"]:
        if fact["term"].startswith("lesion."):
            yield f"  {fact['words']} [{fact['origin']}]"
    yield from (f"  They disagree: {words}" for words in lesion["disagreements"])
    features = lesion["concern"]["features"]
    present = [s for s in features if s["standing"] == "present"]
    unknown = [s for s in features if s["standing"] == "not known"]
    yield from _listed("Concerning features", present, none="  none is known")
    if unknown:
        yield from ("", "Not known of its concerning features")
        yield from (f"  {ask}" for ask in dict.fromkeys(s["ask"] for s in unknown))
    yield from _listed("Next steps", lesion["next_steps"])
    yield from _ranked("Mechanism", [m for m in lesion["mechanisms"] if m["for"]])
    yield from _ranked("Differential, best supported first", lesion["differential"])


def _listed(title: str, statements: Sequence[Mapping[str, Any]], none: str = "") -> Iterator[str]:
    if statements or none:
        yield from ("", title)
    if not statements and none:
        yield none
    for statement in statements:
        because = "; ".join(f"{b['words']} ({b['origin']})" for b in statement["because"])
        yield f"  {statement['say']}{f' — {because}' if because else ''} {_cited(statement)}"


def _ranked(title: str, weighed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not weighed:
        return
    yield from ("", title)
    for number, one in enumerate(weighed[:_MOST_CONDITIONS], 1):
        given = f", if {one['given'].replace('_', ' ')}" if one["given"] else ""
        danger = " (not to be missed)" if one["dangerous"] else ""
        yield f"  {number}. {one['name']}{given}{danger}"
        yield from (f"     + {s['say']} {_cited(s)}" for s in one["for"])
        yield from (f"     - {s['say']} {_cited(s)}" for s in one["against"])
        yield from (f"     ? {s['say']} {_cited(s)}" for s in one["settles"])
    rest = [one["name"] for one in weighed[_MOST_CONDITIONS:]]
    if rest:
        yield f"  then: {', '.join(rest)}"


def _cited(statement: Mapping[str, Any]) -> str:
    return f"[{'; '.join(statement['sources'])}]"


def _value(value: Mapping[str, Any]) -> str:
    level = value["level"] or "no level"
    note = f" ({value['note']})" if value["note"] else ""
    day = f", {value['date']}" if value["date"] else ""
    return f"{value['label']} {value['value']:.3g} {value['unit']}{day}: {level}{note}"


def _worth(worth: Mapping[str, Any]) -> str:
    many, quiet = worth["flags_for_one"], worth["negative"]
    right = "never right" if many is None else f"right once in {many:,.0f}"
    return (
        f"{worth['model']}, {worth['level']}: sensitivity {worth['sensitivity']:.0%}, specificity "
        f"{worth['specificity']:.0%} ({worth['on']}); at a prevalence of "
        f"{100 * worth['prevalence']:.4g} % a flag is {right}"
        + ("" if quiet is None else f", and no flag is right in {100 * quiet:.4f} %")
    )
