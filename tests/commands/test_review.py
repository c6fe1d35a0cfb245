"""`calcilens review`: who may sign in, and whether anything was changed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.errors import CalcilensError, InputError, ReviewError, UsageError
from calcilens.review.accounts import Accounts
from calcilens.review.database import opened
from calcilens.review.journal import Draft, Journal

PASSWORD = "correct horse battery"  # noqa: S105 of a test
RUN = CliRunner()


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "r.sqlite")


def run(*words: str, given: str = "", code: int = 0) -> str:
    done = RUN.invoke(app, ["review", *words], input=given)
    if isinstance(done.exception, CalcilensError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_reader_is_added_with_a_password_from_standard_input(db: str) -> None:
    run("add-reader", "ada", "--role", "adjudicator", "--db", db, given=f"{PASSWORD}\n")
    assert json.loads(run("readers", "--db", db, "--json")) == [
        {"name": "ada", "role": "adjudicator", "active": True}
    ]
    assert run("readers", "--db", db) == "ada\tadjudicator\n"
    assert PASSWORD.encode() not in Path(db).read_bytes()


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("add-reader", "Ada Lovelace"), ReviewError, "reader: expected a name of small letters"),
        (("add-reader", "ada", "--role", "boss"), UsageError, "--role: expected one of reader"),
        (("readers",), InputError, "expected a database of reviews, found none"),
        (("verify",), InputError, "expected a database of reviews, found none"),
    ],
)
def test_wrong_use_is_one_line(
    db: str, words: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        run(*words, "--db", db, given=f"{PASSWORD}\n")


def test_a_short_password_is_refused(db: str) -> None:
    with pytest.raises(ReviewError, match="expected a password of 12 to 200 characters"):
        run("add-reader", "ada", "--db", db, given="short\n")


def test_serve_without_a_reader_says_what_to_do(db: str, tmp_path: Path) -> None:
    words = ("--reports", str(tmp_path), "--studies", str(tmp_path), "--port", "0")
    with pytest.raises(UsageError, match="there is no reader yet; add one with: calcilens review"):
        run(*words, "--db", db)


@pytest.mark.parametrize(
    ("option", "message"),
    [("--reports", "expected a folder with reports"), ("--studies", "expected DICOM images")],
)
def test_serve_names_what_is_not_there(tmp_path: Path, option: str, message: str) -> None:
    paths = {"--reports": str(tmp_path), "--studies": str(tmp_path), option: "/nowhere"}
    with pytest.raises(InputError, match=message):
        run(*(word for pair in paths.items() for word in pair))


def test_options_before_a_command_are_refused_rather_than_ignored(db: str) -> None:
    with pytest.raises(UsageError, match="expected options after `verify`, found --db before it"):
        run("--db", db, "verify")


def test_verify_finds_a_change_and_exits_with_1(db: str) -> None:
    with opened(db) as engine:
        Accounts(engine).add("a", PASSWORD)
        entries = [Journal(engine).append(Draft("a", "k", "1.2", None, {"n": n})) for n in (1, 2)]
    assert run("verify", "--db", db).strip() == entries[-1].hash
    assert json.loads(run("verify", "--db", db, "--head", entries[0].hash, "--json")) == {
        "entries": 2,
        "head": entries[-1].hash,
        "faults": [],
    }
    assert json.loads(run("verify", "--db", db, "--head", "f" * 64, "--json", code=1))["faults"]
    with closing(sqlite3.connect(db)) as rows, rows:
        rows.executescript("DROP TRIGGER entries_update; UPDATE entries SET reader='b' WHERE seq=1")
    found = json.loads(run("verify", "--db", db, "--json", code=1))
    assert found["faults"][0] == "entry 1 was changed"
