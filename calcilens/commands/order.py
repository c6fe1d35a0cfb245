"""`calcilens order`: an order of imaging, written from a case, a report, or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import PlainCommand, printable, say
from calcilens.errors import UsageError, compose

if TYPE_CHECKING:
    from calcilens.guidance.facts import Facts
    from calcilens.guidance.order import Order

FORMATS = ("text", "json", "dicom", "fhir")
_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("order", cls=PlainCommand)(order)


def order(
    kind: str = typer.Argument(
        ..., metavar="ultrasound|ct|mri", help="What to order.", show_default=False
    ),
    case: list[Path] | None = typer.Option(
        None,
        "--case",
        metavar="FILE",
        help="What is known of the patient: case.json, or FHIR. Several are taken together.",
    ),
    report: Path | None = typer.Option(
        None, "--report", metavar="FILE", help="A report.json: lesions measured and predicted."
    ),
    lesion: str | None = typer.Option(
        None, "--lesion", metavar="ID", help="Which lesion of the report, where it has several."
    ),
    protocol: str = typer.Option(
        "complete",
        "--protocol",
        metavar="complete|limited",
        help="Of ultrasound; limited is refused.",
    ),
    form: str = typer.Option(
        "text",
        "--format",
        metavar="text|json|dicom|fhir",
        help="Text; everything; worklist item as DICOM JSON; FHIR R4 ServiceRequest.",
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FILE", help="File to write; by default it is printed."
    ),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Write the order of an ultrasound, CT or MRI, as a draft.

    It says what to do and to answer, why, and what is not known. A physician checks and signs it;
    it does not name the patient.

    Exit codes: 0 done; 1 failed; 2 wrong use, or an order that the documents do not support.
    """
    form = "json" if as_json else form
    if form not in FORMATS:
        raise UsageError(compose(f"one of {', '.join(FORMATS)}", repr(form), where="--format"))
    if not case and report is None:
        given = "--case FILE, --report FILE, or both"
        raise UsageError(compose(given, "neither", fix="see calcilens order --help"))
    from calcilens.guidance.order import order as written

    facts, image = _known(case or [], report, lesion)
    content = _formatted(written(kind, facts, protocol, image), form)
    if out is None:
        typer.echo(printable(content), nl=False)
    else:
        from calcilens.files import write_whole

        write_whole(out, content.encode())
        say(f"written: {out}")


def _known(
    cases: Sequence[Path], report: Path | None, lesion: str | None
) -> tuple[Facts, str | None]:
    """Return what is known of the patient and of one lesion, and where that can be seen."""
    from calcilens.commands.guide import read_report
    from calcilens.guidance import report_facts
    from calcilens.guidance.cases import read_cases

    content = None if report is None else read_report(report)
    if content is None and lesion is not None:
        raise UsageError(compose("--report with --lesion", "no report", where="--lesion"))
    day = date.today() if content is None else report_facts.day_of(content["study"]["study_date"])
    known = read_cases(cases, day)
    for remark in known.remarks:
        say(f"case: {remark}")
    if content is None:
        return known.facts, None
    one = _chosen(content, lesion)
    image = f"lesion {one['id']}, series {one['series_uid']}"
    found = [*report_facts.of_study(content), *report_facts.of_lesions(content)[one["id"]]]
    return known.facts + found, image


def _chosen(report: dict[str, Any], lesion: str | None) -> dict[str, Any]:
    lesions = {one["id"]: dict(one) for one in report["lesions"]}
    if not lesions:
        fix = "order with --case alone"
        raise UsageError(compose("a report with a lesion", "none", where="--report", fix=fix))
    if lesion is None and len(lesions) == 1:
        return next(iter(lesions.values()))
    if lesion not in lesions:
        shown = ", ".join(list(lesions)[:_SHOWN]) + (", ..." if len(lesions) > _SHOWN else "")
        found = "none" if lesion is None else repr(lesion)
        raise UsageError(compose(f"one of {shown}", found, where="--lesion"))
    return lesions[lesion]


def _formatted(written: Order, form: str) -> str:
    from calcilens.guidance.order_dicom import dicom_json
    from calcilens.guidance.order_fhir import service_request
    from calcilens.guidance.order_text import text, to_json

    if form == "text":
        return text(written)
    contents: dict[str, Any] = {"dicom": dicom_json(written), "fhir": service_request(written)}
    contents["json"] = to_json(written) | {"text": text(written), **contents}
    return json.dumps(contents[form], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
