"""What the review page is told when it is started."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

MOST_READERS = 2


@dataclass(frozen=True)
class Settings:
    """How the page is served.

    Args:
        reports: Folder that `calcilens predict` wrote.
        studies: Files and folders with the DICOM images.
        cache: Folder for pictures made ready.
        cache_gb: What it may hold, GiB; a CT of 300 planes needs 0.15.
        readers: Wanted for a study, 1 or 2.
        blinded: Whether readers answer before they see the model's answer.
        ohif: Where an OHIF viewer shows these studies, if there is one.
        https: Whether the page is served encrypted, so that cookies are only sent so.
        hosts: Names that browsers may call the server by, besides its own and any address.
    """

    reports: Path
    studies: tuple[Path, ...]
    cache: Path
    cache_gb: int = 20
    readers: int = MOST_READERS
    blinded: bool = True
    ohif: str | None = None
    https: bool = False
    hosts: tuple[str, ...] = ()

    def knows(self, host: str) -> bool:
        """Tell whether a Host header names this server.

        A page elsewhere can point a name of its own at this machine (DNS rebinding), but cannot
        make a browser send an address, or a name that is not its own.
        """
        name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            own = ("localhost", socket.gethostname(), *self.hosts)
            return name.lower() in {n.lower() for n in own}
        return True
