"""An archive behind DICOMweb: QIDO-RS, WADO-RS and STOW-RS (PS3.18).

The bytes of an object pass as they are: libraries for DICOMweb decode and write them anew, and hold
a whole study in memory.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from calcilens.errors import ArchiveError, Unreachable, UsageError, compose
from calcilens.inference.network.address import WebAddress
from calcilens.inference.network.archive import Filters, Listed, Node, Refused, Store
from calcilens.inference.network.credentials import DISTRUSTED, read_secret
from calcilens.inference.network.multipart import FileMessage, only_part
from calcilens.inference.network.objects import Instance, ObjectFile

_WADO = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_CHUNK = 1 << 18
_STUDY, _SERIES, _SOP, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_DATE, _MODALITIES, _PATIENT, _ACCESSION = "00080020", "00080061", "00100020", "00080050"
_FAILED, _TAKEN, _REASON = "00081198", "00081199", "00081197"
_REFERENCED = "00081155"
_NOT_IT = (400, 409, 413, 415, 422)
"""Answers that refuse an object, and say nothing of others."""
_NOT_THERE = (404, 406, 410)
_NO_SERVICE = (404, 405)
_SERVICE, _PATH = "a DICOMweb service", "check the path of the URL"
_OVERLOADED = {408, 425, 429, 500, 502, 503, 504, 507}
_FULL = range(0xA700, 0xA800)
_DUPLICATE = 0x0111


class WebArchive:
    """An archive behind DICOMweb."""

    def __init__(self, address: WebAddress, node: Node) -> None:
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would log addresses of its own
        self._url, self._timeout_s = address.url, node.patience.timeout_s
        # With each request: that of a session gives way to REQUESTS_CA_BUNDLE
        self._trusted = str(node.tls.ca) if node.tls.ca else True
        self._session = _session(address, node)

    def __enter__(self) -> WebArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def studies(self, filters: Filters) -> list[Listed]:
        """Return the studies that fit."""
        rows = self._all("/studies", {k: v for k, v in filters.keys().items() if v}, _STUDY)
        return [
            Listed(_first(row, _STUDY), _first(row, _DATE), _modalities(row))
            for row in rows
            if filters.fit(_modalities(row), _first(row, _PATIENT), _first(row, _ACCESSION))
        ]

    def instances(self, study_uid: str) -> list[Instance]:
        """Return what the archive holds of a study."""
        rows = self._all(f"/studies/{study_uid}/instances", {}, _SOP)
        return [
            Instance(study_uid, _first(r, _SERIES), _first(r, _SOP), _first(r, _CLASS))
            for r in rows
        ]

    def fetch(self, wanted: Sequence[Instance], store: Store) -> None:
        """Fetch objects one by one, streamed; those that the archive cannot give do not come."""
        for one in wanted:
            path = f"/studies/{one.study_uid}/series/{one.series_uid}/instances/{one.sop_uid}"
            # Archives compress at a tenth of the speed of a network
            headers = {"Accept": _WADO, "Accept-Encoding": "identity"}
            with self._asked("GET", path, headers=headers, stream=True) as answer:
                if answer.status_code in _NOT_THERE:
                    continue
                _check(answer)
                kind = answer.headers.get("Content-Type", "")
                store(one, only_part(kind, answer.iter_content(_CHUNK)))

    def send(
        self, files: Sequence[ObjectFile], taken: Callable[[ObjectFile], None]
    ) -> list[Refused]:
        """Send objects one by one, so that what was taken is known whatever happens next."""
        refused = []
        for file in files:
            why = self._store(file)
            if why is None:
                taken(file)
            else:
                refused.append(Refused(file, why))
        return refused

    def _store(self, file: ObjectFile) -> str | None:
        """Send an object; return why it was refused, or None."""
        message = FileMessage(file.path)
        headers = {"Content-Type": message.content_type, "Accept": _JSON}
        headers["Content-Length"] = str(len(message))
        with self._asked(
            "POST", "/studies", data=message, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status_code not in _NOT_IT:
                self._check_service(answer)
            return _refusal(answer, file.instance.sop_uid)

    def _all(self, path: str, asked: dict[str, str], key: str) -> list[dict[str, Any]]:
        """Return all rows of a query; asked for more until the archive has no new ones."""
        rows: dict[str, dict[str, Any]] = {}
        while True:
            more = {
                r: row
                for row in self._query(path, {**asked, "offset": str(len(rows))})
                if (r := _first(row, key)) not in rows
            }
            if not more:
                return list(rows.values())
            rows |= more

    def _query(self, path: str, asked: dict[str, str]) -> list[dict[str, Any]]:
        with self._asked("GET", path, params=asked, headers={"Accept": _JSON}) as answer:
            if answer.status_code == 204:
                return []
            nothing = answer.status_code == 404 and path != "/studies"
            if not nothing:
                self._check_service(answer)
                rows = _json(answer)
        if nothing:  # there is no such study, or there is no service at all
            self._query("/studies", {"limit": "1"})
            return []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            found = "something else than a list of DICOM JSON"
            raise ArchiveError(compose(_SERVICE, found, where=self._url, fix=_PATH))
        return rows

    def _check_service(self, answer: requests.Response) -> None:
        """Say of an address that knows none of our requests that it is the wrong one."""
        if answer.status_code in _NO_SERVICE:
            said = f"{answer.status_code} {answer.reason}"
            raise ArchiveError(f"no DICOMweb service at {self._url}: {said}; {_PATH}")
        _check(answer)

    @contextmanager
    def _asked(self, method: str, path: str, **how: Any) -> Iterator[requests.Response]:
        """Give the answer to a request; troubles of the connection are Unreachable."""
        try:
            with self._session.request(
                method, self._url + path, timeout=self._timeout_s, verify=self._trusted, **how
            ) as answer:
                yield answer
        except requests.exceptions.SSLError as error:
            raise _tls_error(self._url, error) from error
        except (ValueError, requests.exceptions.TooManyRedirects) as error:  # where it sends us
            raise ArchiveError(compose(_SERVICE, "none", where=self._url, fix=_PATH)) from error
        except requests.RequestException as error:
            raise Unreachable(f"{self._url}: {_trouble(error)}") from error


def _session(address: WebAddress, node: Node) -> requests.Session:
    session = requests.Session()
    token, user = read_secret("ARCHIVE_TOKEN"), read_secret("ARCHIVE_USER")
    if token and not (token.isascii() and token.isprintable()):
        expected = "a token of printable ASCII (RFC 6750)"
        raise UsageError(compose(expected, "another", where="CALCILENS_ARCHIVE_TOKEN"))
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    if user:
        password = read_secret("ARCHIVE_PASSWORD") or ""
        session.auth = HTTPBasicAuth(user.encode(), password.encode())
    if urlsplit(address.url).scheme == "https":
        if node.tls.cert:
            session.cert = (str(node.tls.cert), str(node.tls.key or node.tls.cert))
        for file in (node.tls.ca, node.tls.cert, node.tls.key):
            if file is not None and not file.is_file():
                raise UsageError(f"{file}: expected a file with a certificate or key, found none")
    return session


def _check(answer: requests.Response) -> None:
    code, where = answer.status_code, answer.url.split("?")[0]
    if code in _OVERLOADED:
        raise Unreachable(f"{where}: the archive answers {code} {answer.reason}")
    if code in (401, 403):
        raise ArchiveError(
            f"{where}: the archive lets us not in ({code}); set CALCILENS_ARCHIVE_TOKEN, or "
            "CALCILENS_ARCHIVE_USER and CALCILENS_ARCHIVE_PASSWORD (or ..._FILE)"
        )
    if not 200 <= code < 300:
        raise ArchiveError(f"{where}: expected an answer, found {code} {answer.reason}")


def _refusal(answer: requests.Response, sop_uid: str) -> str | None:
    """Return why an object was not taken, or None where it was (PS3.18 10.5.3)."""
    try:
        said = _json(answer)
    except ArchiveError:
        said = {}
    failed = [
        _number(item) for item in _items(said, _FAILED) if _first(item, _REFERENCED) == sop_uid
    ]
    if failed and failed[0] in _FULL:
        raise Unreachable(f"the archive has no room for object {sop_uid} (0x{failed[0]:04X})")
    if failed and failed[0] != _DUPLICATE:
        return f"the archive refuses it (0x{failed[0]:04X})"
    named = failed or sop_uid in [_first(item, _REFERENCED) for item in _items(said, _TAKEN)]
    if named:
        return None
    if answer.ok:
        raise Unreachable(f"the archive does not say whether it took object {sop_uid}")
    return f"the archive refuses it ({answer.status_code} {answer.reason})"


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        where = answer.url.split("?")[0]
        raise ArchiveError(compose("JSON", "something else", where=where, fix=_PATH)) from error


def _first(row: Any, tag: str) -> str:
    value = _items(row, tag)
    return str(value[0]) if value else ""


def _modalities(row: Any) -> tuple[str, ...]:
    return tuple(map(str, _items(row, _MODALITIES)))


def _number(item: Any) -> int:
    text = _first(item, _REASON)
    return int(text) if text.isdecimal() else 0x0110


def _items(said: Any, tag: str) -> list[Any]:
    """Return the values of an element of DICOM JSON; none of what is no such thing."""
    element = said.get(tag) if isinstance(said, dict) else None
    value = element.get("Value") if isinstance(element, dict) else None
    return value if isinstance(value, list) else []


def _tls_error(url: str, error: BaseException) -> ArchiveError:
    """Say why an encrypted connection does not come about; OpenSSL's reason lies deep inside."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ArchiveError(f"{url}: {DISTRUSTED}: {cause.verify_message}")
    if isinstance(cause, ssl.SSLEOFError):
        return Unreachable(f"{url}: the archive broke off")
    found = "none" if cause is None else cause.reason or "none"
    return ArchiveError(compose("an encrypted connection", found, where=url))


def _trouble(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the archive does not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the archive broke off"
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__context__
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"the archive cannot be reached{f': {reason}' if reason else ', or broke off'}"
