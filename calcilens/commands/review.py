"""`calcilens review`: the page in which radiologists check reports, and what they said there."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from calcilens.commands.console import EXIT_FAILED, EXIT_PARTLY, print_json, say
from calcilens.errors import InputError, UsageError, compose

DATABASE = "reviews.sqlite"
ROLES = ("reader", "adjudicator", "administrator")
FIRST_READER = "there is no reader yet; add one with: calcilens review add-reader NAME --role ROLE"

review_app = typer.Typer()

Db = Annotated[
    str, typer.Option("--db", metavar="FILE|URL", help="Where reviews are kept: SQLite or URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.add_typer(review_app, name="review", no_args_is_help=True)


@review_app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    reports: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What `calcilens predict --out` wrote.")
    ] = None,
    studies: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Their DICOM images; can be repeated."),
    ] = None,
    db: Db = DATABASE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="At which port; 0: a free one.")
    ] = 8787,
    readers: Annotated[
        int, typer.Option(min=1, max=2, metavar="N", help="Readers that a study wants.")
    ] = 2,
    blinded: Annotated[
        bool,
        typer.Option(
            "--blinded/--not-blinded", help="Readers answer before they see the model's answer."
        ),
    ] = True,
    ohif: Annotated[
        str | None, typer.Option(metavar="URL", help="OHIF viewer that has these studies.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures made ready. [beside the reports]")
    ] = None,
    cache_gb: Annotated[
        int, typer.Option("--cache-gb", min=1, metavar="N", help="Most GiB of pictures to keep.")
    ] = 20,
    https: Annotated[
        Path | None, typer.Option(metavar="CERT", help="Serve HTTPS with this certificate, PEM.")
    ] = None,
    https_key: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Its key, where it is in a file of its own.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Name that browsers call it by; can be repeated."),
    ] = None,
) -> None:
    """Check reports in a browser, and keep what was said.

    Without a command: serve the page, with --reports and --studies, until Ctrl-C.
    """
    if context.invoked_subcommand is not None:
        return _check_order(context)
    if reports is None or not studies:
        raise UsageError(
            compose("--reports DIR and --studies PATH", "one of them or none",
                    fix="see calcilens review --help")
        )  # fmt: skip
    from calcilens.inference.network.credentials import Tls
    from calcilens.review.accounts import Accounts
    from calcilens.review.app import create_app
    from calcilens.review.database import opened
    from calcilens.review.serving import is_loopback, listening, run, url_of
    from calcilens.review.settings import Settings

    _check_paths(reports, studies)
    tls = Tls(cert=https, key=https_key).server()
    settings = Settings(
        reports=reports,
        studies=tuple(studies),
        cache=cache or reports / ".review-cache",
        cache_gb=cache_gb,
        readers=readers,
        blinded=blinded,
        ohif=_url(ohif),
        https=tls is not None,
        hosts=(host, *(name or ())),
    )
    with listening(host, port) as bound, opened(db) as engine:
        if not any(reader.active for reader in Accounts(engine).readers()):
            raise UsageError(f"{FIRST_READER}{'' if db == DATABASE else f' --db {db}'}")
        app = create_app(engine, settings)
        if not is_loopback(host) and tls is None:
            say("warning: passwords and images cross the network unencrypted; give --https CERT")
        url = url_of(bound, host, https=settings.https)
        run(app, bound, tls, lambda: say(f"the review page: {url} (Ctrl-C stops it)"))
    say("stopped; all that was saved is kept")


@review_app.command("add-reader")
def add_reader(
    name: Annotated[str, typer.Argument(help="Small letters, digits, dots and dashes.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "reader",
    db: Db = DATABASE,
) -> None:
    """Add somebody who may sign in; the password is asked for, or read from standard input."""
    from calcilens.review.accounts import Accounts, Role
    from calcilens.review.database import opened

    if role not in ROLES:
        raise UsageError(compose(f"one of {', '.join(ROLES)}", role, where="--role"))
    with opened(db) as engine:
        Accounts(engine).add(name, _password(), Role(role))
    say(f"{name} may sign in as {role}")


@review_app.command("readers")
def list_readers(db: Db = DATABASE, as_json: AsJson = False) -> None:
    """List who may sign in."""
    from calcilens.review.accounts import Accounts
    from calcilens.review.database import opened

    with opened(_existing(db)) as engine:
        found = Accounts(engine).readers()
    if as_json:
        print_json([{"name": r.name, "role": r.role.value, "active": r.active} for r in found])
        return
    for reader in found:
        typer.echo(f"{reader.name}\t{reader.role.value}{'' if reader.active else chr(9) + 'shut'}")
    if not found:
        say(FIRST_READER)


@review_app.command("verify")
def verify(
    db: Db = DATABASE,
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="Noted down earlier: it must be there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for any change to what was said; exit code 1 when there is one.

    Note down the hash it prints: with --head it shows later that nothing was cut off the end.
    """
    from calcilens.review.database import opened
    from calcilens.review.verify import verified

    with opened(_existing(db)) as engine:
        checked = verified(engine, head)
    faults = checked.faults
    if as_json:
        print_json({"entries": checked.entries, "head": checked.head, "faults": list(faults)})
    else:
        for fault in faults:
            say(fault)
        outcome = "something was changed" if faults else "as they were entered"
        entries = "1 entry" if checked.entries == 1 else f"{checked.entries} entries"
        say(f"{entries}: {outcome}; the last one has the hash")
        typer.echo(checked.head)
    if faults:
        raise typer.Exit(EXIT_FAILED)


@review_app.command("export")
def export_command(
    reports: Annotated[
        Path, typer.Option(metavar="DIR", help="What `calcilens predict --out` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write.")],
    db: Db = DATABASE,
    readers: Annotated[
        int, typer.Option(min=1, max=2, metavar="N", help="Readers that a study wants.")
    ] = 2,
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Call readers reader-1, reader-2 and so on.")
    ] = False,
    organisation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the readers, in DICOM objects.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all answers: tables, masks, verified DICOM reports, figures and plots."""
    from calcilens.review.database import opened
    from calcilens.review.export.folder import Settings, export
    from calcilens.review.library import Library

    named = {} if organisation is None else {"organisation": organisation}
    settings = Settings(readers=readers, pseudonyms=pseudonyms, **named)
    with opened(_existing(db)) as engine:
        done = export(engine, Library(reports), out, settings)
    if as_json:
        print_json({**vars(done), "notes": list(done.notes)})
    for note in done.notes:
        say(note)
    kinds = (
        (done.answers, "answer", "answers"),
        (done.studies, "study", "studies"),
        (done.documents, "verified report", "verified reports"),
    )
    answers, studies, documents = (f"{n} {one if n == 1 else many}" for n, one, many in kinds)
    say(f"{answers} on {studies}, {documents}: {out}")
    if done.notes:
        raise typer.Exit(EXIT_PARTLY)


def _password() -> str:
    """Read a password where nobody sees it: never from an argument, which other users may read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise InputError(compose("the same password twice", "two different ones"))
    return first


def _check_order(context: typer.Context) -> None:
    """Refuse options before a command, which would do nothing."""
    given = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if given:
        expected = f"options after `{context.invoked_subcommand}`"
        raise UsageError(compose(expected, f"--{given[0].replace('_', '-')} before it"))


def _check_paths(reports: Path, studies: list[Path]) -> None:
    if not reports.is_dir():
        raise InputError(compose("a folder with reports", "none", where=f"--reports {reports}"))
    for path in studies:
        if not path.exists():
            raise InputError(compose("DICOM images", "nothing", where=f"--studies {path}"))


def _existing(db: str) -> str:
    """Return the database, unless opening it would make a new one."""
    if "://" not in db and not Path(db).is_file():
        raise InputError(compose("a database of reviews", "none", where=f"--db {db}"))
    return db


def _url(ohif: str | None) -> str | None:
    """Return the address of a viewer, which becomes a link on the page."""
    if ohif is not None and not ohif.startswith(("http://", "https://")):
        raise UsageError(compose("an http or https URL", ohif, where="--ohif"))
    return ohif
