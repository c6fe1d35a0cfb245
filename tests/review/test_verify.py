"""Whatever is changed in a database of reviews is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from calcilens.review.accounts import Accounts, Role
from calcilens.review.attachments import Attachments
from calcilens.review.database import opened
from calcilens.review.journal import Draft, Journal
from calcilens.review.verify import verified

PASSWORD = "correct horse battery"  # noqa: S105 of a test
DROPPED = "".join(f"DROP TRIGGER {table}_{what};" for table in ("entries", "attachments")
                  for what in ("update", "delete"))  # fmt: skip
KEPT = "SELECT sql FROM sqlite_master WHERE type = 'trigger'"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two readers, a report and three entries on it."""
    with opened(tmp_path / "r.sqlite") as engine:
        accounts, journal = Accounts(engine), Journal(engine)
        accounts.add("ada", PASSWORD, Role.READER)
        accounts.add("cyd", PASSWORD, Role.ADJUDICATOR)
        body = {"report": Attachments(engine).put(b"a report"), "n": 1}
        for reader, kind in (("ada", "taken"), ("ada", "verdict"), ("cyd", "settled")):
            journal.append(Draft(reader, kind, "1.2.3", "L1", body))
    return tmp_path / "r.sqlite"


def faults(path: Path, sql: str, *, guarded: bool = True) -> str:
    """Change the file as its owner can, put the triggers back, and look for what shows."""
    with closing(sqlite3.connect(path)) as rows:
        triggers = [row[0] for row in rows.execute(KEPT)]
        rows.executescript(f"{DROPPED}{sql};")
        for trigger in triggers if guarded else ():
            rows.execute(trigger)
        rows.commit()
    with opened(path) as engine:
        return "\n".join(verified(engine).faults)


def test_nothing_changed_is_no_fault(path: Path) -> None:
    assert faults(path, "SELECT 1") == ""


ENTRY = "UPDATE entries SET {} WHERE seq = 2"
CHANGES = {
    ENTRY.format("body = 5"): "entry 2",
    ENTRY.format("body = 'NaN'"): "entry 2",
    ENTRY.format("body = 'null'"): "entry 2",
    ENTRY.format("body = '[1]'"): "entry 2",
    ENTRY.format(f"body = '{'[' * 100_000}'"): "entry 2",
    ENTRY.format("body = body || ' '"): "entry 2",
    ENTRY.format("""body = '{"n":7,' || substr(body, 2)"""): "entry 2",
    ENTRY.format("body = CAST(body AS BLOB)"): "entry 2",
    ENTRY.format("body = x'fffe'"): "entry 2",
    ENTRY.format("reader = CAST(reader AS BLOB)"): "entry 2",
    ENTRY.format("time = 5"): "entry 2",
    ENTRY.format("lesion = 1.5"): "entry 2",
    "UPDATE attachments SET content = x'00'": "entry 1 names what is not there",
    "UPDATE attachments SET content = 'text'": "entry 1 names what is not there",
    "DELETE FROM attachments": "entry 1 names what is not there",
    "UPDATE readers SET name = 'eve' WHERE name = 'ada'": "is of ada, who is no reader",
    "UPDATE readers SET role = 'administrator' WHERE name = 'ada'": "now administrator, cannot",
    "UPDATE readers SET role = 'reader' WHERE name = 'cyd'": "now reader, cannot say that",
    "INSERT INTO head VALUES (2, 0, 'x')": "not the one noted as last",
}


@pytest.mark.parametrize("sql", CHANGES, ids=lambda sql: sql[:60])
def test_any_change_is_found_and_none_stops_the_search(path: Path, sql: str) -> None:
    assert CHANGES[sql] in faults(path, sql)


def test_triggers_that_are_gone_are_missed(path: Path) -> None:
    found = faults(path, "SELECT 1", guarded=False).splitlines()
    assert len(found) == 4
    assert found[0] == "the trigger attachments_delete, which refuses changes, is gone"


def test_a_new_database_is_for_its_owner_alone(path: Path) -> None:
    with opened(path) as engine, engine.begin():
        beside = [one for one in path.parent.iterdir() if one.name.startswith(path.name)]
        assert len(beside) == 3
        assert [one.stat().st_mode & 0o077 for one in beside] == [0, 0, 0]
