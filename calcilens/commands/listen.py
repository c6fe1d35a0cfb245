"""`calcilens listen`: a node that reports on the studies that are sent to it."""

from __future__ import annotations

import signal
import threading
from datetime import datetime
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
    timeout_option,
    title_option,
)
from calcilens.commands.console import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PARTLY,
    PlainCommand,
    print_json,
    say,
)
from calcilens.commands.predict import formats_of
from calcilens.errors import InputError, UsageError, compose
from calcilens.inference.formats import FORMATS, OBJECTS

if TYPE_CHECKING:
    from calcilens.inference.network.listen import Listener

DEFAULT_FORMATS = "sr-plain,seg,capture"
"""What most archives and viewers take and show; docs/archive.md says why."""
MEGABYTE = 1 << 20
LONGEST_WAIT_S = 600.0
"""Between two tries to send: an archive may be down for a night."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("listen", cls=PlainCommand, epilog=SECRETS)(listen)


def listen(
    spool: Path = typer.Option(
        ..., "--spool", metavar="FOLDER", help="Where studies lie until their results were sent."
    ),
    to: str | None = typer.Option(
        None, "--to", metavar="ARCHIVE", help=f"Gets the results: {ARCHIVE}"
    ),
    title: str = title_option(),
    bind: str = typer.Option("127.0.0.1", "--bind", metavar="ADDRESS", help="Where to listen."),
    port: int = typer.Option(
        11112, "--port", min=1, max=65535, metavar="PORT", help="At which port."
    ),
    allow: list[str] | None = typer.Option(
        None, "--allow", metavar="TITLE", help="AE title that may send; can be repeated. Else any."
    ),
    formats: str = typer.Option(
        DEFAULT_FORMATS, "--formats", metavar="LIST", help="What to make, as of predict."
    ),
    workers: int = typer.Option(
        1, "--workers", min=1, metavar="N", help="Studies predicted at once."
    ),
    quiet: float = typer.Option(
        15.0, "--quiet", min=0, metavar="S", help="Silence after which a study is complete."
    ),
    keep: float = typer.Option(
        60.0, "--keep", min=0, metavar="MIN", help="How long a study stays when all was sent."
    ),
    max_pdu: int = typer.Option(
        65536, "--max-pdu", min=4096, max=1 << 27, metavar="BYTES", help="Longest PDU."
    ),
    max_associations: int = typer.Option(
        10, "--max-associations", min=1, metavar="N", help="Senders at once."
    ),
    reserve: int = typer.Option(
        2048, "--reserve", min=0, metavar="MB", help="Room to leave on the disk; then refuse."
    ),
    idle: float = typer.Option(
        60.0, "--idle", min=1, metavar="S", help="Silence that ends a sender's association."
    ),
    predict_time: float = typer.Option(
        1800.0, "--predict-time", min=1, metavar="S", help="Longest time for one study."
    ),
    model_ct: str | None = typer.Option(
        None, "--model-ct", metavar="NAME|PATH", help="Model for CT; as of predict."
    ),
    model_radiograph: str | None = typer.Option(
        None, "--model-radiograph", metavar="NAME|PATH", help="Model for radiographs."
    ),
    finder: str | None = typer.Option(
        None, "--finder", metavar="NAME|PATH", help="Model that finds lesions on radiographs."
    ),
    timeout: float = timeout_option(),
    tls_ca: Path | None = ca_option(),
    tls_cert: Path | None = cert_option(),
    tls_key: Path | None = key_option(),
    status: bool = typer.Option(False, "--status", help="Say how things stand, and leave."),
    as_json: bool = typer.Option(False, "--json", help="The status for a program."),
) -> None:
    """Report on studies that are sent here; send results on.

    Studies come by C-STORE; what is made of them goes to an archive by C-STORE or STOW-RS.

    Stop it with SIGTERM or Ctrl-C; it goes on with what is left when it is started again, also
    after a crash. With --status: exit code 0, all is well; 1, it is not running; 3, some studies
    failed or wait for another try.
    """
    if status:
        raise typer.Exit(_say_status(spool, as_json=as_json))
    if to is None:
        raise UsageError(compose("--to ARCHIVE", "none", fix="see calcilens listen --help"))
    from calcilens.inference.chosen import Names
    from calcilens.inference.network.address import checked_title, parse_address
    from calcilens.inference.network.listen import Listener, Settings
    from calcilens.inference.network.receiver import Limits, Place
    from calcilens.inference.network.spool import Spool
    from calcilens.inference.network.worker import Options

    models = (model_ct, model_radiograph, finder)
    Names(*models).check()
    wanted = formats_of(formats)
    if not OBJECTS.intersection(wanted):
        fix = "others cannot be sent to an archive"
        expected = f"at least one of {','.join(f for f in FORMATS if f in OBJECTS)}"
        raise UsageError(compose(expected, formats, where="--formats", fix=fix))
    tls = (tls_ca, tls_cert, tls_key)
    node = NodeOptions(title, timeout, tls=tls, longest_wait_s=LONGEST_WAIT_S).node()
    allowed = tuple(checked_title(t, "--allow") for t in allow or ())
    folder = Spool(spool)
    settings = Settings(
        Place(node.title, bind, port, allowed, node.tls.server()),
        parse_address(to, "--to"),
        node,
        Options(str(folder.reports), wanted, models),
        workers=workers,
        quiet_s=quiet,
        keep_s=60 * keep,
        predict_s=predict_time,
        limits=Limits(max_pdu, max_associations, reserve * MEGABYTE, idle),
    )
    hush()
    _run(Listener(folder, settings, _log))


def _run(listener: Listener) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    listener.run(stop)


def _log(line: str) -> None:
    say(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {line}")


def _say_status(folder: Path, *, as_json: bool) -> int:
    from calcilens.inference.network.listen import status
    from calcilens.inference.network.spool import Spool

    if not (folder / "queue.sqlite").exists():
        raise InputError(compose("a spool of calcilens listen", "none", where=str(folder)))
    facts = status(Spool(folder))
    if as_json:
        print_json(facts)
    else:
        counts = ", ".join(f"{n} {state}" for state, n in facts["studies"].items() if n)
        say(f"{'running' if facts['running'] else 'not running'}; {counts or 'no studies'}")
        for trouble in facts["troubles"]:
            say(f"study {trouble['study_uid']}: {trouble['state']}: {trouble['why']}")
    if not facts["running"]:
        return EXIT_FAILED
    return EXIT_PARTLY if facts["troubles"] else EXIT_DONE
