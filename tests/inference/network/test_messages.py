"""Addresses, multipart bodies and patience."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import ArchiveError, Unreachable, UsageError
from calcilens.inference.network.address import DimseAddress, WebAddress, parse_address
from calcilens.inference.network.credentials import Tls, read_secret
from calcilens.inference.network.multipart import FileMessage, only_part
from calcilens.inference.network.retries import Patience, persist

TITLES = st.text("ABCXYZ019_- ", min_size=1, max_size=16).filter(lambda t: t == t.strip())
KIND = 'multipart/related; type="application/dicom"; boundary=edge'


@given(
    TITLES,
    st.sampled_from(["pacs.example", "10.0.0.1", "::1"]),
    st.integers(1, 65535),
    st.booleans(),
)
def test_an_address_is_read_as_it_is_written(title: str, host: str, port: int, tls: bool) -> None:
    shown = f"[{host}]" if ":" in host else host
    text = f"{'dicoms://' if tls else ''}{title}@{shown}:{port}"
    assert parse_address(text) == DimseAddress(title, host, port, tls)
    assert parse_address(str(parse_address(text))) == parse_address(text)


@pytest.mark.parametrize(
    "text", ["", "ORTHANC", "A@host", "A@host:0", "A@host:99999", "A@ho st:1", "X" * 17 + "@h:1",
             "ftp://h/x", "https://", "https://host:port/x", "http://h/x?y=1", r"A\B@h:1"],
)  # fmt: skip
def test_what_is_no_address_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="expected") as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="without a password") as caught:
        parse_address("https://me:hush@pacs/dicom-web")
    assert "hush" not in str(caught.value)


def test_a_url_loses_its_last_slash_alone() -> None:
    assert parse_address("https://pacs/dicom-web/") == WebAddress("https://pacs/dicom-web")


def test_a_secret_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_secret("ARCHIVE_TOKEN") is None
    monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN", "one")
    assert read_secret("ARCHIVE_TOKEN") == "one"
    (tmp_path / "token").write_text("two\n")
    monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN_FILE", str(tmp_path / "token"))
    assert read_secret("ARCHIVE_TOKEN") == "two"
    monkeypatch.setenv("CALCILENS_ARCHIVE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="expected a file with a secret, found No such file"):
        read_secret("ARCHIVE_TOKEN")


def test_certificates_that_are_none_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(UsageError, match=r"x.pem: expected certificates and a key that fit"):
        Tls(cert=tmp_path / "x.pem").client()
    with pytest.raises(UsageError, match=r"x.pem: expected certificates"):
        Tls(ca=tmp_path / "x.pem").client()


def body(data: bytes) -> bytes:
    head = b"\r\n--edge\r\nContent-Type: application/dicom\r\nContent-Length: 3\r\n\r\n"
    return head + data + b"\r\n--edge--\r\n"


@given(st.binary(max_size=400), st.integers(1, 60))
def test_a_part_comes_out_as_it_went_in_however_it_is_cut(data: bytes, size: int) -> None:
    whole = body(data)
    chunks = [whole[i : i + size] for i in range(0, len(whole), size)]
    assert b"".join(only_part(KIND, chunks)) == data


@given(st.binary(max_size=80), st.data())
def test_a_message_that_breaks_off_anywhere_is_noticed(data: bytes, draw: st.DataObject) -> None:
    whole = body(data).removesuffix(b"--\r\n")
    cut = draw.draw(st.integers(0, len(whole)))
    with pytest.raises(Unreachable, match="broke off"):
        list(only_part(KIND, [whole[:cut]]))


def test_what_is_no_multipart_message_is_refused() -> None:
    with pytest.raises(ArchiveError, match="expected multipart/related"):
        list(only_part("text/html", [b"<html>"]))


@given(data=st.binary(max_size=300))
def test_a_message_with_a_file_is_as_long_as_it_says_and_holds_it(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "x").write_bytes(data)
    message = FileMessage(tmp_path / "x")
    sent = b"".join(message)
    assert len(message) == len(sent)
    assert b"".join(only_part(message.content_type, [sent])) == data


@given(st.integers(1, 500), st.floats(0.01, 10), st.floats(10, 1000))
def test_waits_grow_and_stay_below_the_longest(n: int, first: float, longest: float) -> None:
    patience = Patience(first_s=first, longest_s=longest)
    assert first <= patience.delay_s(n) <= patience.delay_s(n + 1) <= longest


def test_a_step_that_gains_something_each_time_is_never_given_up() -> None:
    patience = Patience(attempts=2, first_s=0, longest_s=0)
    told: list[str] = []
    done: list[int] = []

    def step() -> None:
        done.append(1)
        if len(done) < 10:
            raise Unreachable("broke off")

    persist(step, lambda: len(done), patience, told.append)
    assert len(done) == 10
    assert len(told) == 9


def test_a_step_that_gains_nothing_is_given_up_after_as_many_tries_as_allowed() -> None:
    tries: list[int] = []

    def step() -> None:
        tries.append(1)
        raise Unreachable("broke off")

    with pytest.raises(Unreachable, match="broke off"):
        persist(step, lambda: 0, Patience(attempts=4, first_s=0), lambda line: None)
    assert len(tries) == 4
