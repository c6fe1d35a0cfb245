"""`calcilens compare`: what became of each lesion since an earlier study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import PlainCommand, print_json, say
from calcilens.commands.predict import became
from calcilens.commands.reporting import Job, report_on

if TYPE_CHECKING:
    from calcilens.inference.batch import Outcome

_BESIDE_LEVEL = ("merged", "split")
"""Kinds of change that the level does not tell."""
_SIZES = (("max_diameter_mm", "mm", 1), ("volume_mm3", "mm³", 0))


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("compare", cls=PlainCommand)(compare)


def compare(
    prior: Path = typer.Argument(
        ...,
        metavar="PRIOR",
        help="The earlier study: DICOM file, folder, zip archive or DICOMDIR.",
        show_default=False,
    ),
    current: Path = typer.Argument(
        ..., metavar="CURRENT", help="The later study, likewise.", show_default=False
    ),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FOLDER", help="Folder for the report of CURRENT."
    ),
    model_ct: str | None = typer.Option(
        None, "--model-ct", metavar="NAME|PATH", help="Model for CT; by default calcilens-ct."
    ),
    roi: Path | None = typer.Option(
        None, "--roi", metavar="FILE|FOLDER", help="Lesions of CURRENT, as for predict."
    ),
    bone_mask: Path | None = typer.Option(
        None, "--bone-mask", metavar="FILE", help="Bones of CURRENT, as for predict."
    ),
    force: bool = typer.Option(False, "--force", help="Make reports again that are up to date."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Read and check; write nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
) -> None:
    """Say what became of each lesion since an earlier study.

    It is `predict CURRENT --prior PRIOR`, with a table. Exit codes: 0 done; 1 failed; 2 wrong
    use; 3 done, but something was left out or could not be compared; the report of CURRENT is
    written all the same.
    """
    job = Job(
        [current],
        out,
        (model_ct, None, None),
        roi=roi,
        prior=prior,
        bone_mask=bone_mask,
        force=force,
        dry_run=dry_run,
        as_json=as_json,
    )
    code, outcomes, *_ = report_on(job)
    reports = [(outcome, _read(outcome)) for outcome in outcomes or []]
    if as_json and not dry_run:
        print_json({"studies": [_facts(*one) for one in reports]})
    elif not as_json:
        for outcome, report in reports:
            for line in [] if report is None else _lines(report):
                print(line)  # noqa: T201 the result
            say(f"{outcome.study_uid}: {became(outcome)}")
    raise typer.Exit(code)


def _read(outcome: Outcome) -> dict[str, Any] | None:
    if outcome.folder is None:
        return None
    return dict(json.loads((Path(outcome.folder) / "report.json").read_text(encoding="utf-8")))


def _facts(outcome: Outcome, report: dict[str, Any] | None) -> dict[str, Any]:
    """Return what became of a study, and what its report says of changes."""
    return {
        "study_uid": outcome.study_uid,
        "state": outcome.state,
        "folder": outcome.folder,
        "why": outcome.why,
        "comparison": None if report is None else report["comparison"],
        "lesions": [] if report is None else [_told(x) for x in report["lesions"]],
    }


def _told(lesion: dict[str, Any]) -> dict[str, Any]:
    sizes = {name: lesion["measurements"][name] for name, *_ in _SIZES}
    return {k: lesion[k] for k in ("id", "slices", "change")} | sizes


def _lines(report: dict[str, Any]) -> list[str]:
    """Return a line for each lesion, numbered as in the report, and for those without a match."""
    comparison = report["comparison"]
    if comparison is None or comparison["prior_study_uid"] is None:
        return []
    days = comparison["days"]
    since = "" if days is None else f", {days} days earlier"
    lines = [f"compared with {comparison['prior_study_uid']}{since}"]
    rows = [
        [str(number), _slices(x), _sizes(x), _became(x["change"])]
        for number, x in enumerate(report["lesions"], 1)
    ]
    wide = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
    lines += ["  ".join([*map(str.ljust, row[:3], wide), row[3]]).rstrip() for row in rows]
    lines += [_lost("gone", x) for x in comparison["gone"]]
    return lines + [_lost("not found", x) for x in comparison["not_found"]]


def _slices(lesion: dict[str, Any]) -> str:
    if lesion["slices"] is None:
        return "radiograph"
    first, last = lesion["slices"]
    return f"slice {first}" if first == last else f"slices {first}-{last}"


def _sizes(lesion: dict[str, Any]) -> str:
    """Return diameter and volume, each after what it was before, where that is known."""
    taken, change = lesion["measurements"], lesion["change"]
    told = []
    for name, unit, digits in _SIZES:
        values = change.get(f"prior_{name}"), taken[name]
        words = [f"{value:.{digits}f}" for value in values if value is not None]
        told += [f"{' → '.join(words)} {unit}"] if taken[name] is not None else []
    return ", ".join(told)


def _became(change: dict[str, Any]) -> str:
    """Return level, ratio and interval; where there is no ratio, the reason."""
    kind = f", {change['kind']}" if change["kind"] in _BESIDE_LEVEL else ""
    if change["volume_ratio"] is None:
        return f"{change['level']}{kind}: {change['why']}"
    low, high = change["volume_ratio_ci"]
    return f"{change['level']}{kind} × {change['volume_ratio']:.2f} ({low:.2f} to {high:.2f})"


def _lost(word: str, lesion: dict[str, Any]) -> str:
    place = ", ".join(f"{mm:.0f}" for mm in lesion["centroid_mm"])
    volume = lesion["prior_volume_mm3"]
    then = "" if volume is None else f", {volume:.0f} mm³ then"
    return f"{word}: prior lesion at ({place}) mm{then}: {lesion['why']}"
