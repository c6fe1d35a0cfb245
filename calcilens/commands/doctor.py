"""`calcilens doctor`: is this installation sound, and what to do where it is not."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import typer

from calcilens.commands.console import EXIT_FAILED, print_json
from calcilens.errors import ModelError

State = Literal["ok", "warning", "broken"]
SHOWN = ("torch", "torchvision", "monai", "lightning", "pydicom", "highdicom", "numpy")
COMPRESSED = (
    "JPEGBaseline8Bit",
    "JPEGExtended12Bit",
    "JPEGLossless",
    "JPEGLosslessSV1",
    "JPEGLSLossless",
    "JPEGLSNearLossless",
    "JPEG2000Lossless",
    "JPEG2000",
    "HTJ2KLossless",
    "HTJ2K",
    "RLELossless",
)
"""Transfer syntaxes with compressed pixels, by pydicom's names for their UIDs."""
MEMORY_GIB = 6
"""A study of 1,000 planes, its patches and the network fit into this."""
REINSTALL = "install again from the pins: make clean setup"
TORCH_PAIR = (
    "torch and torchvision are of different builds (often a CPU-only torch wheel beside the "
    "registry's torchvision); install both from one place: "
    "uv pip install --reinstall torch torchvision"
)


@dataclass(frozen=True)
class Check:
    """One thing looked at: its state, what was found, and what to do."""

    name: str
    state: State
    found: str
    fix: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print the checks for a program."),
) -> None:
    """Check this installation.

    Where it is broken, it says what to do, and leaves with exit code 1.
    """
    checks = [*check_packages(), *check_torch(), *check_decoders(), *check_models()]
    checks += check_machine()
    broken = any(c.state == "broken" for c in checks)
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(c) for c in checks]})
    else:
        _show(checks)
    if broken:
        raise typer.Exit(EXIT_FAILED)


def check_packages() -> Iterator[Check]:
    """Hold what is installed against what the package asks for."""
    from packaging.requirements import Requirement

    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    try:
        needed = [Requirement(line) for line in requires("calcilens") or []]
    except PackageNotFoundError:
        yield Check("packages", "broken", "calcilens is not installed, only on the path", REINSTALL)
        return
    wrong = []
    for need in needed:
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        found = _version(need.name)
        if found is None or not need.specifier.contains(found, prereleases=True):
            wrong.append(f"{need.name} {found or 'missing'} (wanted {need.specifier})")
    main = ", ".join(f"{name} {_version(name)}" for name in ("calcilens", *SHOWN))
    if wrong:
        yield Check("packages", "broken", "; ".join(wrong), REINSTALL)
    else:
        yield Check("packages", "ok", main)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_torch() -> Iterator[Check]:
    """Import the pair that breaks most often, and look for an accelerator."""
    try:
        import torch
        import torchvision
    except Exception as error:  # a broken binary raises whatever it likes
        yield torch_failure(error)
        return
    yield Check("torch", "ok", f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = ", ".join(names) or "none: prediction and training run on the processor"
    yield Check("accelerator", "ok", found)


def torch_failure(error: Exception) -> Check:
    """Say what is wrong, and what to do, when torch or torchvision cannot be imported."""
    known = "torchvision::" in str(error)
    found = " ".join(f"{type(error).__name__}: {error}".split())
    return Check("torch", "broken", found, TORCH_PAIR if known else REINSTALL)


def check_decoders() -> Iterator[Check]:
    """Ask pydicom which compressed transfer syntaxes it can decode here."""
    from pydicom import uid
    from pydicom.pixels.decoders.base import get_decoder

    unable = [name for name in COMPRESSED if not get_decoder(getattr(uid, name)).is_available]
    if unable:
        yield Check("decoders", "broken", f"no decoder for {', '.join(unable)}", REINSTALL)
    else:
        yield Check("decoders", "ok", f"all of {', '.join(COMPRESSED)}")


def check_models() -> Iterator[Check]:
    """Hold the weights of every embedded model against the sha256 in its card."""
    from calcilens.models.registry import DEFAULT, embedded

    models = embedded()
    for name in DEFAULT.values():
        if name not in models:
            yield Check("models", "broken", f"the default model {name} is not there", REINSTALL)
    for name, file in models.items():
        try:
            file.verify()
        except (ModelError, OSError) as error:
            yield Check("models", "broken", f"{name}: {error}", REINSTALL)
        else:
            yield Check("models", "ok", f"{name}, sha256 {file.sha256[:12]} as in its card")


def check_machine() -> Iterator[Check]:
    """Look at processors, memory and the folder of real data."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("processors", "ok", str(cores))
    if "SC_PHYS_PAGES" in os.sysconf_names:
        gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        small = gib < MEMORY_GIB
        fix = f"large studies want {MEMORY_GIB} GiB" if small else None
        yield Check("memory", "warning" if small else "ok", f"{gib:.1f} GiB", fix)
    yield _check_real_data()


def _check_real_data() -> Check:
    folder = os.environ.get("CALCILENS_REAL_DATA")
    if not folder:
        return Check("real data", "ok", "CALCILENS_REAL_DATA is not set; only our own tests use it")
    if Path(folder).is_dir():
        return Check("real data", "ok", folder)
    fix = "unset CALCILENS_REAL_DATA or point it at the folder"
    return Check("real data", "warning", f"{folder} is not a folder", fix)


def _show(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colour = {"ok": "green", "warning": "yellow", "broken": "bold red"}
    table = Table("check", "state", "found", box=None, pad_edge=False)
    for check in checks:
        found = Text(check.found)
        if check.fix:
            found.append(f"\n-> {check.fix}", style=colour[check.state])
        table.add_row(check.name, Text(check.state, style=colour[check.state]), found)
    Console().print(table)
