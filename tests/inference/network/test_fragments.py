"""Objects whose compressed pixels break the rule of even fragments go out mended, and whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import JPEGLSLossless
from pynetdicom.events import Event

from calcilens.inference.network.archive import open_archive
from calcilens.inference.network.fragments import has_odd_fragments, padded
from calcilens.inference.network.objects import ObjectFile, read_object
from tests.commands.test_archive import app
from tests.inference.network.made import NODE, FakeArchive, content, ct_study

ITEM = b"\xfe\xff\x00\xe0"


def odd(folder: Path) -> tuple[ObjectFile, ObjectFile]:
    """Write a compressed object; return it as it should be, and with one fragment of odd length."""
    (file,) = ct_study(folder, planes=1)
    ds = dcmread(file.path)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(file.path)
    whole = file.path.read_bytes()
    at = whole.rfind(ITEM)
    (length,) = struct.unpack_from("<L", whole, at + 4)
    start = at + 8
    stream = whole[start : start + length]
    cut = stream + b"\0\0\0" if stream.endswith(b"\xff\xd9") else stream[:-1]
    assert len(cut) % 2
    broken = folder / "odd.dcm"
    broken.write_bytes(
        whole[: at + 4] + struct.pack("<L", len(cut)) + cut + whole[start + length :]
    )
    return read_object(file.path), read_object(broken)


class Keeper(FakeArchive):
    """Keeps the data sets that it takes."""

    def _store(self, event: Event) -> int:
        self.kept: Dataset = event.dataset
        return super()._store(event)


def test_fragments_of_odd_length_are_told_apart(tmp_path: Path) -> None:
    good, bad = odd(tmp_path)
    plain = ct_study(tmp_path / "plain", planes=1)[0]
    assert [has_odd_fragments(f) for f in (good, bad, plain)] == [False, True, False]


def test_an_object_with_odd_fragments_arrives_even_and_otherwise_as_it_was(tmp_path: Path) -> None:
    _, bad = odd(tmp_path)
    archive = Keeper()
    with archive.serving() as address, open_archive(address, NODE) as opened:
        assert opened.send([bad], lambda file: None) == []
    sent, before = archive.kept, dcmread(bad.path)
    lengths = [len(f) for f in generate_fragments(sent.PixelData)]
    assert all(length % 2 == 0 for length in lengths)
    assert np.array_equal(padded(bad).pixel_array, before.pixel_array)
    del sent.PixelData, before.PixelData
    assert sent.to_json_dict() == before.to_json_dict()


def test_objects_with_even_fragments_go_out_as_their_bytes(tmp_path: Path) -> None:
    good, _ = odd(tmp_path)
    archive = RawKeeper()
    with archive.serving() as address, open_archive(address, NODE) as opened:
        assert opened.send([good], lambda file: None) == []
    assert archive.raw == content(good.path)


class RawKeeper(FakeArchive):
    """Keeps the bytes that it takes."""

    raw: bytes = b""

    def _store(self, event: Event) -> int:
        self.raw = event.encoded_dataset(include_meta=False)
        return super()._store(event)


def test_push_names_what_it_pads_also_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    _, bad = odd(tmp_path / "in")
    with FakeArchive(finds=False).serving() as address:
        assert app("push", bad.path, address, "--dry-run") == 0
    assert f"object {bad.instance.sop_uid}: its pixels have fragments of odd" in (
        capsys.readouterr().err
    )
