"""The figures of an evaluation as a table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from calcilens.training.evaluate import Scores
    from calcilens.training.evaluate_page import About
    from calcilens.training.flags import FlagFigures
    from calcilens.training.pattern_figures import PatternFigures

Judged = tuple["Scores", "About"]


def show(results: Sequence[Judged]) -> None:
    """Print one table of all models, and below it what a reader must know of each."""
    from rich.console import Console

    about = results[0][1]
    console = Console()
    console.print(table_of(results))
    for scores, named in results:
        before = f"{named.model}: " if len(results) > 1 else ""
        for line in remarks(scores):
            console.print(before + line, highlight=False)
    console.print(
        f"95 % intervals from {about.resamples} resamples of patients. {about.disclaimer}"
    )


def table_of(results: Sequence[Judged]) -> Table:
    """Return one row a model and question."""
    from rich import box
    from rich.table import Table

    about = results[0][1]
    several = len(results) > 1
    found = f"{about.model}: {results[0][0].n} lesions" if not several else f"{len(results)} models"
    title = f"{found}, {about.manifest}, split {about.split}"
    columns = ("", "positive", "AUROC", "AUPRC", "ECE")
    table = Table(*(("model",) if several else ()), *columns, title=title, box=box.SIMPLE)
    for scores, named in results:
        for row in _rows(scores):
            table.add_row(*((named.model,) if several else ()), *row)
        table.add_section()
    return table


def _rows(scores: Scores) -> Iterator[tuple[str, ...]]:
    for name, found in (("calcified", scores.finding), ("concern", scores.concern)):
        if found is not None:
            yield (
                name,
                f"{found.n_positive} of {found.n}",
                _cell(found.auroc, found.auroc_ci95),
                _cell(found.auprc, found.auprc_ci95),
                _cell(found.ece, found.ece_ci95),
            )
    if scores.pattern is not None:
        p = scores.pattern
        area = _cell(p.macro_auroc, p.macro_auroc_ci95)
        yield "pattern", str(p.n), area, "", _cell(p.ece, p.ece_ci95)


def remarks(scores: Scores) -> Iterator[str]:
    """Say what is beside the table: sets, answers that were not given, rows left out, maps."""
    if scores.pattern is not None:
        yield _named(scores.pattern)
    if scores.conformal_check is not None:
        c = scores.conformal_check
        within = "within" if c.within_3_sigma else "not within"
        yield (
            f"sets fitted on half of the patients, {c.splits} times: coverage {c.coverage:.3f} of "
            f"the others, {c.expected:.3f} expected; {within} 3 standard errors ({c.sigma:.4f})"
        )
    yield from (_flag(level, found) for level, found in (scores.flags or {}).items())
    for what, counts in (("no answer on", scores.abstained_by), ("left out of", scores.left_out)):
        for head, reasons in counts.items():
            if reasons:
                yield f"{what} {head}: {', '.join(f'{n} {why}' for why, n in reasons.items())}"
    if scores.out_of_domain is not None:
        d = scores.out_of_domain
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in d.found.items())
        yield (
            f"out of domain: {d.found_overall:.1%} of {d.n} strangers found ({kinds}) with "
            f"{d.false_alarms:.1%} false alarms; at 5 % false alarms "
            f"{d.found_at_5_percent_overall:.1%}; AUROC {d.auroc:.3f}"
        )
    if scores.saliency is not None:
        m = scores.saliency
        yield (
            f"saliency of {m.n} lesions: {m.hits:.0%} hits ({m.hits_by_chance:.0%} by chance), "
            f"AUPRC {m.auprc_over_area:.1f} times the baseline, {m.shown:.0%} pass their test"
        )


def _named(p: PatternFigures) -> str:
    ends = p.accuracy_ci95
    interval = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
    each = (p.per_pattern or {}).values()
    few = sum(one.why_null is not None for one in each)
    words = f"pattern: AUROC is the mean over {len(each)} patterns"
    if few:
        words += f", {few} of them with too few patients for a figure of their own"
    words += f"; accuracy {p.accuracy:.3f}{interval}"
    if p.coverage is None:
        return words
    return f"{words}; sets of {p.mean_set_size:.1f} patterns hold {p.coverage:.3f} of the true ones"


def _flag(level: str, found: FlagFigures) -> str:
    shares = [
        f"{name} {_cell(value, bounds)}".replace("\n", " (") + (")" if bounds else "")
        for name, value, bounds in (
            ("sensitivity", found.sensitivity, found.sensitivity_ci95),
            ("specificity", found.specificity, found.specificity_ci95),
        )
    ]
    return (
        f"concern from {level} up (probability from {found.threshold:.2f}): "
        f"{', '.join(shares)}, on {found.n} lesions with an answer"
    )


def _cell(value: float | None, bounds: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f"\n{bounds[0]:.3f}–{bounds[1]:.3f}" if bounds else "")
