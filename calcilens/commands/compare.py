"""`calcilens compare`: what became of each lesion since an earlier study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from calcilens.commands.console import print_json, say
from calcilens.commands.predict import report_on


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("compare")(compare)


def compare(
    prior: Path = typer.Argument(..., metavar="PRIOR", help="The earlier study."),
    current: Path = typer.Argument(..., metavar="CURRENT", help="The later study."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder for the report of CURRENT."),
    model_ct: str | None = typer.Option(
        None, "--model-ct", metavar="NAME|PATH", help="Model for CT; by default calcilens-ct."
    ),
    roi: Path | None = typer.Option(
        None, "--roi", metavar="FILE|FOLDER", help="Lesions of CURRENT, as for predict."
    ),
    force: bool = typer.Option(False, "--force", help="Make reports again that are up to date."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
) -> None:
    """Compare a study with an earlier one: `predict CURRENT --prior PRIOR`, with a table.

    Exit codes: 0 done; 1 failed; 2 wrong use; 3 done, but something was left out or could not be
    compared; the report of CURRENT is written all the same.
    """
    wishes = {"out": out, "formats": ("json", "html"), "force": force}
    code, outcomes, _ = report_on([current], prior, roi, (model_ct, None, None), wishes)
    written = [o for o in outcomes or [] if o.folder is not None]
    reports = [_read(Path(o.folder or "")) for o in written]
    if as_json:
        print_json({"studies": [_facts(report) for report in reports]})
    else:
        for outcome, report in zip(written, reports, strict=True):
            _show(report)
            say(f"{outcome.study_uid}: open {outcome.folder}/report.html")
    for outcome in outcomes or []:
        if outcome.why:
            say(f"{outcome.study_uid}: failed: {outcome.why}")
    raise typer.Exit(code)


def _read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text(encoding="utf-8")))


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says of changes."""
    return {
        "study_uid": report["study"]["study_uid"],
        "comparison": report["comparison"],
        "lesions": [{"id": x["id"], "change": x["change"]} for x in report["lesions"]],
    }


def _show(report: dict[str, Any]) -> None:
    """Print a line for each lesion, and for each that is gone."""
    comparison = report["comparison"]
    if comparison is None or comparison["prior_study_uid"] is None:
        return
    days = comparison["days"]
    since = "" if days is None else f", {days} days earlier"
    print(f"compared with {comparison['prior_study_uid']}{since}")  # noqa: T201 the result
    for lesion in report["lesions"]:
        change = lesion["change"]
        print(f"{lesion['id']}  {change['level']:<14}  {change['kind']:<9}  {change['why']}")  # noqa: T201
    for gone in comparison["gone"]:
        print(f"{gone['id']}  {'gone':<14}  {'gone':<9}  {gone['why']}")  # noqa: T201
