"""`calcilens guide`: what the clinical rules say of a case, of a report, or of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import typer

from calcilens.commands.console import PlainCommand, print_json, printable, say
from calcilens.errors import CaseError, UsageError, compose


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("guide", cls=PlainCommand)(guide)


def guide(
    case: list[Path] | None = typer.Option(
        None,
        "--case",
        metavar="FILE",
        help="What is known of the patient: case.json, or FHIR. Several are taken together.",
    ),
    report: Path | None = typer.Option(
        None, "--report", metavar="FILE", help="A report.json: lesions measured and predicted."
    ),
    prevalence: float | None = typer.Option(
        None,
        "--prevalence",
        metavar="SHARE",
        help="Share of lesions that are concerning, for what a flag is worth; by default 0.00005.",
    ),
    html: Path | None = typer.Option(
        None, "--html", metavar="FILE", help="Also write it as a page that opens offline."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
    print_schema: bool = typer.Option(
        False, "--schema", help="Print the JSON Schema of case.json and leave."
    ),
    print_rules: bool = typer.Option(
        False, "--rules", help="Print every rule with its source, as Markdown, and leave."
    ),
) -> None:
    """Say what the clinical rules make of a case, with sources.

    Concerning features, mechanism, differential, next steps, pitfalls, and what is not known.
    It supports a physician's judgement and decides nothing.

    Exit codes: 0 done; 1 failed; 2 wrong use.
    """
    if print_schema:
        from calcilens.guidance.case_schema import case_schema

        return print_json(case_schema())
    if print_rules:
        from calcilens.guidance.rules_page import rules_page

        typer.echo(rules_page(), nl=False)
        return None
    if not case and report is None:
        missing = "--case FILE, --report FILE, or both"
        raise UsageError(compose(missing, "neither", fix="see calcilens guide --help"))
    from calcilens.guidance.text import text
    from calcilens.guidance.worth import INCIDENCE, check_share

    share = INCIDENCE if prevalence is None else prevalence
    check_share("--prevalence", share)
    found = _guided(case or [], report, share)
    if html is not None:
        from calcilens.files import write_whole
        from calcilens.inference.export.guidance import page

        write_whole(html, page(found).encode())
        say(f"open {html}")
    if as_json:
        print_json(found)
    else:
        typer.echo(printable(text(found)), nl=False)
    return None


def _guided(cases: Sequence[Path], report: Path | None, prevalence: float) -> dict[str, Any]:
    from calcilens.guidance.cases import read_cases
    from calcilens.guidance.document import of_case, of_report
    from calcilens.guidance.report_facts import day_of

    if report is None:
        return of_case(read_cases(cases, date.today()), prevalence)
    content = read_report(report)
    if not cases and not content["lesions"]:
        found = "none, and no case"
        raise CaseError(compose("a report with a lesion", found, where=report.name))
    day = day_of(content["study"]["study_date"])
    return of_report(content, read_cases(cases, day) if cases else None, prevalence)


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.json.

    Raises:
        CaseError: It is none.
    """
    from calcilens.guidance.strict_json import loads
    from calcilens.inference.report_schema import fault_of

    try:
        content = loads(path.read_text("utf-8"))
    except CaseError as error:
        raise CaseError(f"{path.name}: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        found = getattr(error, "strerror", None) or "text that is no JSON"
        raise CaseError(compose("a report.json", found, where=path.name)) from error
    fault = fault_of(content)
    if fault is not None:
        where = f"{path.name}, {fault.json_path}"
        raise CaseError(
            compose("a report.json of this version", fault.message[:80], where=where,
                    fix="make it with calcilens predict")
        )  # fmt: skip
    return dict(content)
