"""`calcilens push`: DICOM files to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from calcilens.errors import InputError, compose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calcilens.imaging.records import Skipped
    from calcilens.inference.network.address import Address
    from calcilens.inference.network.objects import ObjectFile
    from calcilens.inference.network.push import Pushed


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("push", cls=PlainCommand, epilog=SECRETS)(push)


def push(
    paths: list[Path] = typer.Argument(
        ...,
        metavar="PATH...",
        help="DICOM files, or folders with any; other files are passed over.",
    ),
    archive: str = typer.Argument(..., metavar="ARCHIVE", help=ARCHIVE),
    title: str = title_option(),
    timeout: float = timeout_option(),
    tries: int = retries_option(),
    tls_ca: Path | None = ca_option(),
    tls_cert: Path | None = cert_option(),
    tls_key: Path | None = key_option(),
    force: bool = typer.Option(False, "--force", help="Send again what was sent before."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be sent; send nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
) -> None:
    """Send DICOM files to an archive, by DICOMweb or DIMSE.

    What the archive has taken is remembered, and not sent again by a later run. At the end the
    archive is asked whether it holds every object.

    Exit codes: 0 done; 1 failed; 2 wrong use; 3 done, but some files were left out or refused.
    """
    from calcilens.inference.network.address import parse_address
    from calcilens.inference.network.archive import open_archive
    from calcilens.inference.network.ledger import Ledger, default_ledger_path
    from calcilens.inference.network.objects import find_objects
    from calcilens.inference.network.push import Push

    address = parse_address(archive)
    node = NodeOptions(title, timeout, tries, (tls_ca, tls_cert, tls_key)).node()
    hush()
    files, skipped = find_objects(paths)
    for left in skipped:
        say(f"left out: {left.reason}")
    if not files:
        raise InputError(compose("DICOM files", "none", where=", ".join(map(str, paths))))
    with (
        open_archive(address, node) as opened,
        Ledger(default_ledger_path(), str(address)) as ledger,
        progress_bar() as bar,
    ):
        task = bar.add_task("send", total=len(files))
        job = Push(
            opened, ledger, node.patience, tell=say,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
        plan = job.plan(files, force=force)
        _say_padded(address, plan.due)
        pushed = None if dry_run else job.send(plan)
    if pushed is None:
        say(f"{objects(len(plan.due))} to send, {len(plan.known)} sent before; nothing was sent")
    else:
        _say(pushed)
    if as_json:
        due = [f.instance.sop_uid for f in plan.due]
        print_json(_facts(str(address), due, pushed, skipped))
    raise typer.Exit(_code(pushed, len(files), skipped))


def _say_padded(address: Address, due: Sequence[ObjectFile]) -> None:
    """Say which objects do not go out as they are; by DICOMweb all do."""
    from calcilens.inference.network.address import DimseAddress
    from calcilens.inference.network.fragments import has_odd_fragments

    for file in due if isinstance(address, DimseAddress) else ():
        if has_odd_fragments(file):
            uid = file.instance.sop_uid
            say(
                f"object {uid}: its pixels have fragments of odd length; sent with a zero byte each"
            )


def _say(pushed: Pushed) -> None:
    for refused in pushed.refused:
        say(f"refused: object {refused.file.instance.sop_uid}: {refused.why}")
    before = f", {pushed.known} sent before" if pushed.known else ""
    say(f"the archive took {objects(pushed.sent)}{before}; {_held(pushed)}")


def _held(pushed: Pushed) -> str:
    """Say what the archive is known to hold; what was sent before is no proof."""
    if pushed.verified is not None:
        return f"it lists {pushed.verified} of {pushed.sent + pushed.known}"
    again = "; --force sends again what was sent before" if pushed.known else ""
    return f"it cannot be asked what it holds{again}"


def _facts(
    archive: str, due: list[str], pushed: Pushed | None, skipped: list[Skipped]
) -> dict[str, Any]:
    left_out = [{"file": s.what, "reason": s.reason} for s in skipped]
    facts: dict[str, Any] = {"archive": archive, "dry_run": pushed is None, "left_out": left_out}
    if pushed is None:
        return facts | {"due": due}
    refused = [{"sop_uid": r.file.instance.sop_uid, "reason": r.why} for r in pushed.refused]
    return facts | {
        "sent": pushed.sent,
        "known": pushed.known,
        "refused": refused,
        "verified": pushed.verified,
    }


def _code(pushed: Pushed | None, files: int, skipped: list[Skipped]) -> int:
    if pushed is None:
        return EXIT_PARTLY if skipped else EXIT_DONE
    lost = pushed.verified is not None and pushed.verified < pushed.sent + pushed.known
    if len(pushed.refused) == files or lost:
        return EXIT_FAILED
    return EXIT_PARTLY if pushed.refused or skipped else EXIT_DONE
