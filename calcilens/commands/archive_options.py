"""What `pull`, `push` and `listen` share: their end of the connection, from options."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from calcilens.inference.network.archive import Node

ARCHIVE = (
    "AETITLE@host:port, dicoms://AETITLE@host:port with TLS, or the URL of a DICOMweb service."
)


SECRETS = (
    "Secrets come from the environment: CALCILENS_ARCHIVE_TOKEN, or CALCILENS_ARCHIVE_USER and "
    "CALCILENS_ARCHIVE_PASSWORD, for DICOMweb; CALCILENS_TLS_KEY_PASSWORD for --tls-key. With "
    "_FILE at its end, each names a file that holds it."
)


def hush() -> None:
    """Silence what libraries warn of: it quotes files, and what is wrong with them we say."""
    warnings.simplefilter("ignore")


def title_option() -> Any:
    """Return the option that names our AE title."""
    return typer.Option("CALCILENS", "--ae-title", metavar="TITLE", help="AE title of this end.")


def timeout_option() -> Any:
    """Return the option for the longest wait for an answer."""
    return typer.Option(30.0, "--timeout", min=0.1, metavar="S", help="Longest wait for an answer.")


def retries_option() -> Any:
    """Return the option for how often a failing archive is tried."""
    return typer.Option(
        5, "--tries", min=1, metavar="N", help="Failures in a row that end the work."
    )


def tls_option(name: str, what: str) -> Any:
    """Return an option that names a PEM file."""
    return typer.Option(None, name, metavar="FILE", exists=True, dir_okay=False, help=what)


def ca_option() -> Any:
    """Return the option for whom to trust."""
    return tls_option("--tls-ca", "Certificates (PEM) to trust, in place of the system's.")


def cert_option() -> Any:
    """Return the option for our certificate."""
    return tls_option("--tls-cert", "Our certificate (PEM).")


def key_option() -> Any:
    """Return the option for our key."""
    return tls_option("--tls-key", "Its key (PEM).")


@dataclass(frozen=True)
class NodeOptions:
    """Options as given."""

    title: str
    timeout_s: float
    tries: int = 5
    tls: tuple[Path | None, Path | None, Path | None] = (None, None, None)
    move: tuple[str, int] | None = None
    longest_wait_s: float = 60.0

    def node(self) -> Node:
        """Return what they mean.

        Raises:
            UsageError: The AE title is none.
        """
        from calcilens.inference.network.address import checked_title
        from calcilens.inference.network.archive import Node
        from calcilens.inference.network.credentials import Tls
        from calcilens.inference.network.retries import Patience

        patience = Patience(
            attempts=self.tries, longest_s=self.longest_wait_s, timeout_s=self.timeout_s
        )
        return Node(checked_title(self.title, "--ae-title"), Tls(*self.tls), patience, self.move)


def objects(count: int) -> str:
    """Return how many objects, in words."""
    return f"{count} object{'' if count == 1 else 's'}"
