"""How an archive is named on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from calcilens.errors import UsageError, compose

_DIMSE = re.compile(
    r"(?:(?P<scheme>dicoms?)://)?(?P<title>[^@/]+)@(?P<host>[\w.-]+|\[[\da-fA-F:]+\]):(?P<port>\d+)"
)
_TITLE = re.compile(r"(?=.*\S)[ -\[\]-~]{1,16}")
EXPECTED = "AETITLE@host:port, dicoms://AETITLE@host:port, or a DICOMweb URL (https://...)"


@dataclass(frozen=True)
class DimseAddress:
    """A node of the DICOM network.

    Args:
        title: AE title of the archive.
        tls: Whether the connection is encrypted.
    """

    title: str
    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'dicoms://' if self.tls else ''}{self.title}@{host}:{self.port}"


@dataclass(frozen=True)
class WebAddress:
    """A DICOMweb service; `url` without a slash at its end."""

    url: str

    def __str__(self) -> str:
        return self.url


Address = DimseAddress | WebAddress


def parse_address(text: str, where: str = "ARCHIVE") -> Address:
    """Return what an address stands for.

    Raises:
        UsageError: It is none, or holds a password.
    """
    if text.startswith(("http://", "https://")):
        return _web(text, where)
    match = _DIMSE.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise UsageError(compose(EXPECTED, f"{text!r}", where=where))
    host = match["host"].strip("[]")
    title = checked_title(match["title"], where)
    return DimseAddress(title, host, int(match["port"]), match["scheme"] == "dicoms")


def checked_title(title: str, where: str) -> str:
    r"""Return an AE title: at most 16 printable characters, no backslash (PS3.5 6.2).

    Raises:
        UsageError: It is none.
    """
    if not _TITLE.fullmatch(title):
        fix = "ask the archive's operator for its AE title"
        raise UsageError(
            compose("an AE title of 1 to 16 characters", repr(title), where=where, fix=fix)
        )
    return title.strip()


def _web(text: str, where: str) -> WebAddress:
    try:
        parts = urlsplit(text)
    except ValueError:  # half of an IPv6 address
        raise UsageError(compose(EXPECTED, repr(text), where=where)) from None
    if parts.username or parts.password:
        fix = "put it into CALCILENS_ARCHIVE_USER and CALCILENS_ARCHIVE_PASSWORD_FILE"
        raise UsageError(compose("a URL without a password", "one with it", where=where, fix=fix))
    try:
        usable = (
            bool(parts.hostname) and (parts.port or 1) > 0 and not (parts.query or parts.fragment)
        )
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise UsageError(compose(EXPECTED, repr(text), where=where))
    return WebAddress(text.rstrip("/"))
