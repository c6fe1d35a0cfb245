"""`pull`, `push` and `listen` from the outside: wrong use is one line."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from calcilens.commands import console, listen, pull, push
from calcilens.inference.network.queue import Queue
from calcilens.inference.network.spool import Spool
from tests.inference.network.made import SECRETS, FakeArchive, ct_study

AWAY = "ORTHANC@127.0.0.1:9"


def app(*words: object) -> int:
    program = typer.Typer(pretty_exceptions_enable=False)
    program.callback()(lambda: None)
    for module in (pull, push, listen):
        module.register(program)
    return console.guarded(lambda: program([str(w) for w in words]))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", AWAY, "1.2"), "expected --out FOLDER, found none"),
        (
            ("pull", AWAY, "-o", "x"),
            "expected STUDY_UID, or one or more of --date, --modality, --patient-id, ",
        ),
        (("pull", AWAY, "1.2", "--modality", "CT", "-o", "x"), "found both"),
        (("pull", AWAY, "../x", "-o", "x"), "STUDY_UID: expected a study UID"),
        (("pull", AWAY, "--date", "2025", "-o", "x"), "--date: expected YYYYMMDD"),
        (("pull", AWAY, "--patient-id", "A*", "-o", "x"), "--patient-id: expected at most 64"),
        (
            ("pull", AWAY, "--accession", "A\\B", "-o", "x"),
            "without backslash, * and ?, found others",
        ),
        (("pull", "nowhere", "1.2", "-o", "x"), "ARCHIVE: expected AETITLE@host:port"),
        (("push", ".", "http://[::1/x"), "ARCHIVE: expected AETITLE@host:port"),
        (("push", ".", AWAY, "--ae-title", "X" * 17), "--ae-title: expected an AE title"),
        (("listen", "--spool", "x"), "expected --to ARCHIVE, found none"),
        (("listen", "--spool", "x", "--to", AWAY, "--formats", "pdf"), "--formats: expected"),
        (
            ("listen", "--spool", "x", "--to", AWAY, "--formats", "json,html,fhir"),
            "--formats: expected at least one of sr,",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_without_dicom_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("none")
    assert app("push", tmp_path / "in", AWAY) == 1
    assert "expected DICOM files, found none" in capsys.readouterr().err


def test_a_file_that_is_no_dicom_is_told_and_the_others_are_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ct_study(tmp_path / "in")
    (tmp_path / "notes.txt").write_text("none")
    archive = FakeArchive(files=files)
    with archive.serving() as address:
        assert app("push", tmp_path / "in", tmp_path / "notes.txt", address, "--json") == 3
        shown = capsys.readouterr()
        facts = json.loads(shown.out)
        assert (facts["sent"], facts["verified"], len(facts["left_out"])) == (6, 6, 1)
        assert app("push", tmp_path / "in", address, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["due"] == []
    assert not any(secret in shown.out + shown.err for secret in SECRETS)


def test_a_damaged_file_is_one_line_with_its_path_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = ct_study(tmp_path / "in", planes=1)
    whole = file.path.read_bytes()
    bad = tmp_path / "in" / "bad.dcm"
    bad.write_bytes(whole.replace(file.instance.sop_uid.encode(), b"1.x" + b"9" * 60, 2)[:-100])
    twin = tmp_path / "in" / "twin.dcm"
    twin.write_bytes(whole[:-1] + b"x")
    with FakeArchive().serving() as address:
        assert app("push", tmp_path / "in", address, "--dry-run") == 3
    lines = capsys.readouterr().err.splitlines()
    assert [lines[0].count("bad.dcm"), lines[1].count("twin.dcm"), len(lines)] == [1, 1, 3]
    assert all(line.startswith("left out: ") for line in lines[:2])


@pytest.mark.parametrize("command", ["push", "pull", "listen"])
def test_the_help_names_where_secrets_come_from_and_explains_every_option(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    app(command, "--help")
    shown = capsys.readouterr().out
    for name in ("TOKEN", "USER", "PASSWORD"):
        assert f"CALCILENS_ARCHIVE_{name}" in shown
    assert "CALCILENS_TLS_KEY_PASSWORD" in shown
    programs: dict[str, Callable[..., object]] = {
        "push": push.push,
        "pull": pull.pull,
        "listen": listen.listen,
    }
    parameters = inspect.signature(programs[command]).parameters
    assert [n for n, p in parameters.items() if not p.default.help] == []


def test_what_was_sent_before_is_no_proof_and_the_line_says_how_to_send_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct_study(tmp_path / "in", planes=1)
    archive = FakeArchive(finds=False)
    with archive.serving() as address:
        assert app("push", tmp_path / "in", address) == 0
        first = capsys.readouterr().err
        assert app("push", tmp_path / "in", address) == 0
        second = capsys.readouterr().err
        assert app("push", tmp_path / "in", address, "--force") == 0
    held = "it cannot be asked what it holds"
    assert first == f"the archive took 1 object; {held}\n"
    assert second == (
        f"the archive took 0 objects, 1 sent before; {held}; "
        "--force sends again what was sent before\n"
    )
    assert len(archive.taken) == 2


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("state/calcilens/sent.sqlite", ("push", "in", AWAY)),
        ("spool/queue.sqlite", ("listen", "--spool", "spool", "--to", AWAY)),
        ("spool/queue.sqlite", ("listen", "--spool", "spool", "--status")),
    ],
)
def test_a_database_that_is_damaged_is_named_in_one_line(
    file: str,
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ct_study(tmp_path / "in")
    Path(file).parent.mkdir(parents=True)
    Path(file).write_text("this is no database, whatever its name says" * 9)
    assert app(*words) == 1
    assert f"{file}: expected a database of calcilens, found" in capsys.readouterr().err


def test_a_host_that_nobody_knows_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct_study(tmp_path / "in")
    assert app("push", tmp_path / "in", "PACS@no.host.invalid:104", "--tries", 1) == 1
    assert "PACS@no.host.invalid:104: " in capsys.readouterr().err


def test_a_search_that_an_archive_has_no_time_for_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--date", "20250102", "-o", tmp_path / "out", "--tries", 2)
    assert app("pull", AWAY, *words) == 1
    assert "next try in 1 s (1 of 2 failed)" in capsys.readouterr().err


def test_one_study_that_is_not_there_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ct_study(tmp_path / "in")
    uid = files[0].instance.study_uid
    with FakeArchive(files=files).serving() as address:
        assert app("pull", address, "1.2.3", uid, "-o", tmp_path / "out", "--json") == 3
    facts = json.loads(capsys.readouterr().out)
    assert [s["fetched"] for s in facts["studies"]] == [6]
    assert facts["failed"][0]["study_uid"] == "1.2.3"


def test_the_status_tells_whether_it_runs_and_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = Spool(tmp_path / "spool")
    queue = Queue(spool.queue)
    queue.arrived("1.2", 3)
    assert app("listen", "--spool", tmp_path / "none", "--status") == 1
    words = ("listen", "--spool", spool.root, "--status")
    assert app(*words) == 1
    with spool.ours():
        assert app(*words) == 0
        queue.move("1.2", "receiving", "failed", why="it has no image")
        assert app(*words, "--json") == 3
    queue.close()
    shown = capsys.readouterr()
    assert "none: expected a spool of calcilens listen, found none" in shown.err
    assert "not running; 1 receiving" in shown.err
    facts = json.loads(shown.out)
    assert facts["studies"]["failed"] == 1
    assert facts["troubles"][0]["why"] == "it has no image"


def test_the_docs_say_what_listen_sends_by_default() -> None:
    page = Path(__file__).parents[2] / "docs" / "archive.md"
    assert f"By default `{listen.DEFAULT_FORMATS}`" in page.read_text()
