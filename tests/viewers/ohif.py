"""OHIF as a radiologist's browser shows it: its files and an archive's DICOMweb on one port."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import mimetypes
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

VERSION = "3.13.2"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
SOURCE = {
    "friendlyName": "archive",
    "name": "archive",
    "wadoUriRoot": "/dicom-web",
    "qidoRoot": "/dicom-web",
    "wadoRoot": "/dicom-web",
    "qidoSupportsIncludeField": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "supportsWildcard": True,
    "omitQuotationForMultipartRequest": True,
    "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
}
CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showCPUFallbackMessage": False,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": SOURCE,
        }
    ],
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "max-age=3600",
}
"""Without the first two a browser gives no shared memory, which OHIF's volumes need."""


def fetched(cache: Path) -> Path:
    """Return the folder of OHIF's files, fetched from npm once and checked."""
    whole = cache / f"ohif-{VERSION}"
    dist = whole / "package" / "dist"
    if dist.is_dir():
        return dist
    npm = shutil.which("npm")
    assert npm is not None, "npm is missing; see .ci/run"
    with tempfile.TemporaryDirectory(dir=cache) as part:
        command = [npm, "pack", f"@ohif/app@{VERSION}", "--silent"]
        subprocess.run(command, cwd=part, check=True, timeout=500, stdout=subprocess.DEVNULL)
        (packed,) = Path(part).glob("ohif-app-*.tgz")
        found = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        assert found == SHA512, f"another @ohif/app {VERSION} than the pinned one: sha512 {found}"
        with tarfile.open(packed) as archive:
            archive.extractall(Path(part) / "whole", filter="data")
        with suppress(OSError):  # another worker was first
            (Path(part) / "whole").rename(whole)
    return dist


@contextmanager
def serving(dist: Path, archive: str) -> Iterator[str]:
    """Serve OHIF and an archive's DICOMweb; give the address."""

    class Handler(_Handler):
        folder, behind = dist, archive

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    behind: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        path = self.path.split("?")[0].lstrip("/")
        if path.startswith("dicom-web/"):
            return self._pass_on()
        if path == "app-config.js":
            return self._give(f"window.config = {json.dumps(CONFIG)};".encode(), "text/javascript")
        file = self.folder / path
        if not file.is_file():
            file = self.folder / "index.html"
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return self._give(file.read_bytes(), kind)

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {k: v for k, v in self.headers.items() if k.lower() in ("accept", "content-type")}
        asked = urllib.request.Request(  # noqa: S310
            self.behind + self.path, self.rfile.read(length) or None, headers, method=self.command
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                kind = answer.headers.get("Content-Type", "application/json")
                self._give(answer.read(), kind, answer.status)
        except urllib.error.HTTPError as error:
            self._give(error.read(), "text/plain", error.code)

    def _give(self, body: bytes, kind: str, code: int = 200) -> None:
        self.send_response(code)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
