"""Passwords, tokens and certificates: from the environment or a file, never from an argument."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calcilens.errors import UsageError, compose

PREFIX = "CALCILENS_"
DISTRUSTED = "its certificate is not trusted; name its issuer with --tls-ca"


def read_secret(name: str) -> str | None:
    """Return a secret: of CALCILENS_<name>, or of the file that CALCILENS_<name>_FILE names.

    Raises:
        UsageError: The file cannot be read.
    """
    file = os.environ.get(f"{PREFIX}{name}_FILE")
    if file is None:
        return os.environ.get(f"{PREFIX}{name}") or None
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeError) as error:
        found = getattr(error, "strerror", None) or "what is no text"
        raise UsageError(
            compose("a file with a secret", found, where=f"{PREFIX}{name}_FILE={file}")
        ) from error


@dataclass(frozen=True)
class Tls:
    """Certificates of this node, PEM; all None where the system's own are enough.

    Args:
        ca: Whom to trust, in place of the system's list.
        cert: Of this node, with the chain.
        key: Its private key; the password of it is the secret TLS_KEY_PASSWORD.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def client(self) -> ssl.SSLContext:
        """Return what a connection to an archive is encrypted with."""
        with _explained(self.ca or "the system's certificates"):
            context = ssl.create_default_context(cafile=self.ca)
        self._identify(context)
        return context

    def server(self) -> ssl.SSLContext | None:
        """Return what connections of senders are encrypted with; None without a certificate.

        With `ca`, only senders are let in that have a certificate of it.
        """
        if self.cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # PS3.15 B.12 (BCP 195)
        self._identify(context)
        if self.ca is not None:
            with _explained(self.ca):
                context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _identify(self, context: ssl.SSLContext) -> None:
        if self.cert is not None:
            with _explained(self.cert):
                context.load_cert_chain(self.cert, self.key, read_secret("TLS_KEY_PASSWORD") or "")


@contextmanager
def _explained(file: Path | str) -> Iterator[None]:
    """Turn what OpenSSL says about a file into one line."""
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        found = error.strerror if error.errno else None
        found = found or getattr(error, "reason", None) or "what cannot be used"
        expected = "certificates and a key that fit, PEM"
        raise UsageError(compose(expected, str(found), where=str(file))) from error
