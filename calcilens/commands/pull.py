"""`calcilens pull`: studies from an archive into a folder."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calcilens.commands.archive_options import (
    ARCHIVE,
    SECRETS,
    NodeOptions,
    ca_option,
    cert_option,
    hush,
    key_option,
    objects,
    retries_option,
    timeout_option,
    title_option,
)
from calcilens.commands.console import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PARTLY,
    PlainCommand,
    print_json,
    progress_bar,
    say,
)
from calcilens.errors import ArchiveError, UsageError, compose

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from calcilens.inference.network.archive import Archive, Filters, Listed, Node
    from calcilens.inference.network.pull import Pull, Pulled


_NUMBER = re.compile(r"[ -)+->@-\[\]-~]{0,64}")
_CHOICE = "STUDY_UID, or one or more of --date, --modality, --patient-id, --accession"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("pull", cls=PlainCommand, epilog=SECRETS)(pull)


def pull(
    archive: str = typer.Argument(..., metavar="ARCHIVE", help=ARCHIVE),
    studies: list[str] | None = typer.Argument(None, metavar="STUDY_UID", help="Which studies."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FOLDER", help="Folder for one folder a study."
    ),
    date: str = typer.Option(
        "", "--date", metavar="YYYYMMDD[-YYYYMMDD]", help="All studies of these days."
    ),
    modality: str = typer.Option(
        "", "--modality", metavar="CT|DX|...", help="All studies with it."
    ),
    patient_id: str = typer.Option(
        "", "--patient-id", metavar="ID", help="All studies of this patient."
    ),
    accession: str = typer.Option(
        "", "--accession", metavar="NUMBER", help="All studies of this order."
    ),
    title: str = title_option(),
    move_port: int | None = typer.Option(
        None,
        "--move-port",
        min=1,
        max=65535,
        metavar="PORT",
        help="Use C-MOVE: the archive sends to this port of ours.",
    ),
    bind: str = typer.Option("127.0.0.1", "--bind", metavar="ADDRESS", help="Where that port is."),
    timeout: float = timeout_option(),
    tries: int = retries_option(),
    tls_ca: Path | None = ca_option(),
    tls_cert: Path | None = cert_option(),
    tls_key: Path | None = key_option(),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what is there; fetch nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
) -> None:
    """Fetch studies from an archive, by DICOMweb or DIMSE.

    FOLDER/<study_uid>/ then holds one file an object, as the archive sent it. A run that broke off
    goes on where it ended. Options that choose studies narrow each other; a patient's or an order's
    number is never shown.

    Exit codes: 0 done, also where no study fits; 1 failed; 2 wrong use; 3 done, but some studies
    could not be had whole.
    """
    from calcilens.inference.network.address import parse_address
    from calcilens.inference.network.archive import Filters, open_archive

    address = parse_address(archive)
    filters = Filters(date, modality, patient_id, accession)
    _check(studies or [], filters)
    if out is None and not dry_run:
        raise UsageError(compose("--out FOLDER", "none", fix="or give --dry-run"))
    move = None if move_port is None else (bind, move_port)
    options = NodeOptions(title, timeout, tries, (tls_ca, tls_cert, tls_key), move)
    node = options.node()
    hush()
    with open_archive(address, node) as opened:
        found = list(dict.fromkeys(studies or [])) or [s.uid for s in _look(opened, filters, node)]
        if not found:
            say("the archive holds no study that fits; nothing to fetch")
        done = _fetch_all(opened, found, node, out)
    if as_json:
        print_json({"archive": str(address), "dry_run": dry_run, **done})
    failed = len(done["failed"])
    raise typer.Exit(
        EXIT_DONE if not failed else EXIT_PARTLY if failed < len(found) else EXIT_FAILED
    )


def _check(studies: list[str], filters: Filters) -> None:
    """Raise UsageError for what cannot be asked for."""
    from calcilens.inference.network.objects import is_uid

    wrong = [uid for uid in studies if not is_uid(uid)]
    if wrong:
        raise UsageError(compose("a study UID", repr(wrong[0]), where="STUDY_UID"))
    days = filters.date.split("-")
    if filters.date and not (len(days) <= 2 and all(len(d) == 8 and d.isdigit() for d in days)):
        raise UsageError(
            compose("YYYYMMDD or YYYYMMDD-YYYYMMDD", repr(filters.date), where="--date")
        )
    for name, value in (("--patient-id", filters.patient_id), ("--accession", filters.accession)):
        if not _NUMBER.fullmatch(value):
            # Wildcards would fetch what belongs to others (PS3.4 C.2.2.2.4)
            expected = "at most 64 characters of ASCII, without backslash, * and ?"
            raise UsageError(compose(expected, "others", where=name))
    if bool(studies) == any(filters):
        found = "both" if studies else "none"
        raise UsageError(compose(_CHOICE, found))


def _look(archive: Archive, filters: Filters, node: Node) -> list[Listed]:
    """Return the studies that fit; an archive that is not there is asked again."""
    from calcilens.inference.network.retries import persist

    found: list[Listed] = []

    def ask() -> None:
        found[:] = archive.studies(filters)

    persist(ask, lambda: 0, node.patience, say)
    return found


def _fetch_all(
    archive: Archive, studies: list[str], node: Node, out: Path | None
) -> dict[str, list[object]]:
    """Fetch each study, or only look where `out` is None; one that fails does not stop others."""
    from calcilens.inference.network.pull import Pull

    done: list[object] = []
    failed: list[object] = []
    with progress_bar() as bar:
        for uid in studies:
            shown = partial(_show, bar, bar.add_task("fetch", total=None))
            job = Pull(archive, out or Path(), node.patience, tell=say, progress=shown)
            try:
                done.append(_seen(archive, job, uid, node) if out is None else _fetched(job, uid))
            except ArchiveError as error:
                say(str(error))
                failed.append({"study_uid": uid, "reason": str(error)})
    return {"studies": done, "failed": failed}


def _show(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _seen(archive: Archive, job: Pull, uid: str, node: Node) -> dict[str, object]:
    """Say what the archive holds of a study, without patient data."""
    from calcilens.inference.network.archive import Filters, Listed

    held = job.look(uid)
    series = len({one.series_uid for one in held})
    found = [s for s in _look(archive, Filters(study_uid=uid), node) if s.uid == uid]
    date, kinds = (found or [Listed(uid)])[0][1:]
    about = f"{date or 'no date'}, {' '.join(kinds) or 'no modality'}, {series} series"
    say(f"{uid}: {about}, {objects(len(held))}; nothing was fetched")
    facts: dict[str, object] = {"study_uid": uid, "date": date, "modalities": list(kinds)}
    return facts | {"series": series, "objects": len(held)}


def _fetched(job: Pull, uid: str) -> dict[str, object]:
    pulled = job.fetch(uid)
    say(f"{uid}: {_words(pulled)}")
    return asdict(pulled)


def _words(pulled: Pulled) -> str:
    before = f", {pulled.kept} there before" if pulled.kept else ""
    return f"{objects(pulled.fetched)} fetched{before}; {pulled.folder}"
