"""DICOMweb archives that refuse, are slow, send half an object, or die between two."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from calcilens.errors import ArchiveError, Unreachable, UsageError
from calcilens.inference.network.address import WebAddress
from calcilens.inference.network.archive import Filters, Node, open_archive
from calcilens.inference.network.credentials import Tls
from calcilens.inference.network.ledger import Ledger
from calcilens.inference.network.multipart import FileMessage, only_part
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.pull import Pull
from calcilens.inference.network.push import Push, Pushed
from calcilens.inference.network.retries import Patience
from tests.inference.network.made import HASTY, NODE, certificates, ct_study


@dataclass
class FakeWeb:
    """Answers by `behave(n)` to the n-th object: a status; 0 for half an answer, None for none."""

    behave: Callable[[int], int | None] = lambda n: 200
    files: list[ObjectFile] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tried: int = 0
    page: int = 4
    status: Callable[[str], int] | None = None
    """By the UID of the object that is asked for, in place of `behave`."""
    said: bytes = b""
    """Answers all queries."""
    queries: Callable[[str], int] | None = None
    """Status of a query, by its path; without a row."""
    location: str = ""
    """Where all queries are sent."""

    @contextmanager
    def serving(self, tls: Tls | None = None) -> Iterator[WebAddress]:
        fake = self

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Pass over clients that left."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.get(self)

            def do_POST(self) -> None:
                fake.post(self)

            def log_message(self, *_: object) -> None:
                pass

        server = Server(("127.0.0.1", 0), Handler)
        context = tls.server() if tls else None
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield WebAddress(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/dicom-web")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        self.headers.append(dict(request.headers))
        path, _, asked = request.path.partition("?")
        if self.location or self.said:
            return self.answer(request, 302 if self.location else 200, self.said)
        if self.queries:
            return self.answer(request, self.queries(path), b"[]")
        if path.endswith("/instances"):
            start = int(asked.partition("offset=")[2] or 0)
            return self.answer(
                request, 200, json.dumps(self.rows()[start : start + self.page]).encode()
            )
        self.tried += 1
        uid = path.rsplit("/", 1)[1]
        status = self.status(uid) if self.status else self.behave(self.tried)
        (file,) = [f for f in self.files if f.instance.sop_uid == uid]
        message = FileMessage(file.path)
        data = b"".join(message)
        if status == 200:
            self.given.append(uid)
        elif status == 0:
            data, status = data[: len(data) // 2], 200
        self.answer(request, status, data, message.content_type)

    def post(self, request: BaseHTTPRequestHandler) -> None:
        self.headers.append(dict(request.headers))
        data = request.rfile.read(int(request.headers["Content-Length"]))
        self.tried += 1
        status = self.behave(self.tried)
        content = b"".join(only_part(request.headers["Content-Type"], [data]))
        (file,) = [f for f in self.files if f.path.read_bytes() == content]
        item = {"00081155": {"vr": "UI", "Value": [file.instance.sop_uid]}}
        if status == 200:
            self.taken.append(content)
        else:
            item["00081197"] = {"vr": "US", "Value": [0xC000]}  # type: ignore[list-item]
        tag = "00081199" if status == 200 else "00081198"
        self.answer(request, status, json.dumps({tag: {"vr": "SQ", "Value": [item]}}).encode())

    def answer(
        self,
        request: BaseHTTPRequestHandler,
        status: int | None,
        data: bytes,
        kind: str = "application/dicom+json",
    ) -> None:
        if status is None:
            request.connection.close()
            return
        request.send_response(status)
        request.send_header("Content-Type", kind)
        if status == 302:
            request.send_header("Location", self.location)
        request.end_headers()
        request.wfile.write(data)

    def rows(self) -> list[dict[str, object]]:
        return [
            {
                tag: {"vr": "UI", "Value": [uid]}
                for tag, uid in (
                    ("0020000E", f.instance.series_uid),
                    ("00080018", f.instance.sop_uid),
                    ("00080016", f.instance.sop_class_uid),
                )
            }
            for f in self.files
        ]


@pytest.fixture
def files(tmp_path: Path) -> list[ObjectFile]:
    return ct_study(tmp_path / "study")


def push(address: WebAddress, files: list[ObjectFile], tmp_path: Path, node: Node = NODE) -> Pushed:
    ledger = Ledger(tmp_path / "ledger.sqlite", str(address))
    with open_archive(address, node) as archive, ledger:
        job = Push(archive, ledger, node.patience, tell=lambda line: None)
        return job.send(job.plan(files))


def pull(address: WebAddress, files: list[ObjectFile], out: Path) -> list[str]:
    told: list[str] = []
    with open_archive(address, NODE) as archive:
        Pull(archive, out, HASTY, tell=told.append).fetch(files[0].instance.study_uid)
    return told


def test_objects_come_bit_for_bit_and_once_though_the_archive_sends_half_or_dies(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    web = FakeWeb(lambda n: {2: 0, 4: None, 6: 503}.get(n, 200), files)
    with web.serving() as address:
        told = pull(address, files, tmp_path / "out")
    found = {f.instance.sop_uid: f.path for f in find_objects([tmp_path / "out"])[0]}
    assert {u: p.read_bytes() for u, p in found.items()} == {
        f.instance.sop_uid: f.path.read_bytes() for f in files
    }
    assert sorted(web.given) == sorted(found)
    asked = [h["Accept-Encoding"] for h in web.headers if 'application/dicom"' in h["Accept"]]
    assert set(asked) == {"identity"}
    assert len(told) == 3
    assert all("\n" not in line and "next try" in line for line in told)


def test_objects_are_sent_bit_for_bit_and_once_though_the_archive_dies_or_is_overloaded(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    web = FakeWeb(lambda n: {2: None, 5: 503}.get(n, 200), files)
    with web.serving() as address:
        pushed = push(address, files, tmp_path)
    assert sorted(web.taken) == sorted(f.path.read_bytes() for f in files)
    assert (pushed.sent, pushed.verified) == (6, 6)


@pytest.mark.parametrize("status", [409, 413, 422])
def test_an_object_that_is_refused_is_told_and_the_others_arrive(
    status: int, files: list[ObjectFile], tmp_path: Path
) -> None:
    with FakeWeb(lambda n: status if n == 3 else 200, files).serving() as address:
        pushed = push(address, files, tmp_path)
    assert pushed.sent == 5
    assert [r.why for r in pushed.refused] == ["the archive refuses it (0xC000)"]


@pytest.mark.parametrize("status", [404, 500])
def test_an_object_that_an_archive_lists_and_cannot_give_does_not_hold_up_the_others(
    status: int, files: list[ObjectFile], tmp_path: Path
) -> None:
    lost = files[0].instance.sop_uid
    web = FakeWeb(files=files)
    web.status = lambda uid: status if uid == lost else 200
    with web.serving() as address, pytest.raises(Unreachable, match=r"1 of 6|500"):
        pull(address, files, tmp_path / "out")
    assert sorted(web.given) == sorted(f.instance.sop_uid for f in files[1:])


_ELEMENT = '[{"00080018": %s}]'


@pytest.mark.parametrize(
    "said",
    [
        *(
            _ELEMENT % value
            for value in ("5", '"x"', "null", '{"Value": {"a": 1}}', '{"Value": 1}')
        ),
        '[5, "x", null]',
        "[" * 100_000,
        "<html>",
        '{"a": 1}',
    ],
    ids=range(9),
)
def test_json_of_any_shape_is_one_line(said: str, files: list[ObjectFile], tmp_path: Path) -> None:
    web = FakeWeb(files=files)
    web.said = said.encode()
    with web.serving() as address, pytest.raises(ArchiveError, match=r"expected|no UID") as caught:
        pull(address, files, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_connection_that_is_refused_says_so(files: list[ObjectFile], tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        push(WebAddress("http://127.0.0.1:9/dicom-web"), files, tmp_path)


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_path_is_told_apart_from_a_study_that_is_not_there(
    status: int, files: list[ObjectFile], tmp_path: Path
) -> None:
    web = FakeWeb(lambda n: status, files)
    with web.serving() as address:
        said = f"^no DICOMweb service at {address.url}: {status} .*; check the path of the URL$"
        web.queries = lambda path: status
        with pytest.raises(ArchiveError, match=said):
            pull(address, files, tmp_path / "out")
        with pytest.raises(ArchiveError, match=said):
            push(address, files, tmp_path)
        web.queries = lambda path: 404 if path.endswith("/instances") else 200
        with pytest.raises(ArchiveError, match="the archive holds none of it"):
            pull(address, files, tmp_path / "out")


def test_another_service_at_the_url_is_not_taken_for_an_archive(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    web = FakeWeb(files=files, said=b'["0f1e-9a", "77ab-03"]')  # Orthanc's own /studies
    said = "expected a DICOMweb service.*; check the path"
    with (
        web.serving() as address,
        open_archive(address, NODE) as archive,
        pytest.raises(ArchiveError, match=said),
    ):
        archive.studies(Filters(modality="CT"))


@pytest.mark.parametrize("to", ["http://[bad", "file:///etc/passwd"])
def test_an_archive_that_sends_us_nowhere_is_one_line(
    to: str, files: list[ObjectFile], tmp_path: Path
) -> None:
    web = FakeWeb(files=files)
    web.location = to
    with web.serving() as address, pytest.raises(ArchiveError, match="expected a DICOMweb service"):
        pull(address, files, tmp_path / "out")


def test_an_archive_that_lets_us_not_in_says_what_to_set(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with (
        FakeWeb(lambda n: 401, files).serving() as address,
        pytest.raises(ArchiveError, match="set CALCILENS_ARCHIVE_TOKEN"),
    ):
        push(address, files, tmp_path)


def test_a_token_is_sent_and_never_shown(
    files: list[ObjectFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN", "hush")
    web = FakeWeb(lambda n: 403, files)
    with web.serving() as address, pytest.raises(ArchiveError, match="403") as caught:
        push(address, files, tmp_path)
    assert web.headers[0]["Authorization"] == "Bearer hush"
    assert "hush" not in str(caught.value)


def test_secrets_may_hold_any_character_that_can_be_sent(
    files: list[ObjectFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALCILENS_ARCHIVE_USER", "ärztin")
    monkeypatch.setenv("CALCILENS_ARCHIVE_PASSWORD", "häh€")
    web = FakeWeb(files=files)
    with web.serving() as address:
        push(address, files, tmp_path)
        sent = web.headers[0]["Authorization"].removeprefix("Basic ")
        assert base64.b64decode(sent).decode() == "ärztin:häh€"  # RFC 7617
        monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN", "häh€")
        with pytest.raises(UsageError, match="CALCILENS_ARCHIVE_TOKEN: expected a token") as caught:
            push(address, files, tmp_path)
    assert "h€" not in str(caught.value)


def test_a_slow_archive_is_left_after_the_timeout(files: list[ObjectFile], tmp_path: Path) -> None:
    def slow(n: int) -> int:
        time.sleep(1)
        return 200

    node = Node(patience=Patience(attempts=1, timeout_s=0.2))
    with (
        FakeWeb(slow, files).serving() as address,
        pytest.raises(Unreachable, match="does not answer in time"),
    ):
        push(address, files[:1], tmp_path, node)


def test_an_encrypted_archive_is_trusted_by_its_issuer_alone(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    ours = certificates(tmp_path)("us")
    theirs = Tls(cert=ours.cert, key=ours.key)
    web = FakeWeb(files=files)
    with web.serving(theirs) as address:
        pushed = push(address, files, tmp_path, Node(tls=Tls(ca=ours.ca), patience=HASTY))
        stranger, said = Node(patience=HASTY), "not trusted; name its issuer with --tls-ca"
        with open_archive(address, stranger) as it, pytest.raises(ArchiveError, match=said):
            it.instances(files[0].instance.study_uid)
    assert pushed.sent == 6


def test_an_archive_that_does_not_encrypt_is_told_apart_from_one_that_is_not_trusted(
    files: list[ObjectFile], tmp_path: Path
) -> None:
    with FakeWeb(files=files).serving() as plain:
        address = WebAddress(plain.url.replace("http:", "https:"))
        with pytest.raises(ArchiveError, match="expected an encrypted connection"):
            push(address, files, tmp_path)
