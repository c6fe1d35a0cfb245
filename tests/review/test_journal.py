"""The journal keeps what was confirmed, and shows any change to it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from calcilens.errors import ReviewError
from calcilens.review.database import opened
from calcilens.review.journal import GENESIS, Draft, Journal, canonical

FIELDS = ("time", "reader", "kind", "study_uid", "lesion", "body", "previous", "hash")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(), JSON, max_size=4)


def draft(number: int, **body: Any) -> Draft:
    return Draft("reader", "verdict", f"1.2.{number % 3}", f"L{number}", body or {"n": number})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened(tmp_path / "reviews.sqlite") as found:
        yield found


def filled(path: Path, count: int) -> None:
    with opened(path) as engine:
        for number in range(count):
            Journal(engine).append(draft(number))


def check(path: Path, head: str | None = None) -> tuple[str, ...]:
    with opened(path) as engine:
        return Journal(engine).check(head).faults


def changed(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the file as one would who owns it: without triggers."""
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.executescript("DROP TRIGGER entries_update; DROP TRIGGER entries_delete")
        change(rows)


def test_what_is_entered_is_read_again_in_order(engine: Engine) -> None:
    journal = Journal(engine)
    made = [journal.append(draft(number)) for number in range(5)]
    assert list(journal.entries()) == made
    assert list(journal.entries("1.2.1")) == [made[1], made[4]]
    assert list(journal.entries(after=3)) == made[3:]
    assert [entry.seq for entry in made] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in made] == [GENESIS, *(entry.hash for entry in made[:-1])]
    assert journal.check().faults == ()


def test_an_empty_journal_is_whole(engine: Engine) -> None:
    assert Journal(engine).check().faults == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(BODIES, min_size=1, max_size=4))
def test_any_json_comes_back_as_it_was(bodies: list[dict[str, Any]]) -> None:
    with opened("sqlite://") as engine:
        journal = Journal(engine)
        for body in bodies:
            journal.append(draft(1, **{"value": body}))
        assert [entry.body["value"] for entry in journal.entries()] == bodies
        assert journal.check().faults == ()


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_any_field_is_found(tmp_path: Path, field: str) -> None:
    filled(path := tmp_path / "r.sqlite", 4)
    sql = f"UPDATE entries SET {field} = '1' WHERE seq = 2"  # noqa: S608 our own names
    changed(path, lambda rows: rows.execute(sql))
    assert any("2" in fault for fault in check(path))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM entries WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 4",
        "DELETE FROM entries",
        "UPDATE entries SET seq = seq + 10",
        "UPDATE entries SET seq = 9 WHERE seq = 4",
        "UPDATE entries SET body = 'no json' WHERE seq = 3",
        "UPDATE head SET count = 3",
        "UPDATE head SET hash = 'x'",
        "DELETE FROM head",
        "INSERT INTO entries SELECT 5, time, reader, kind, study_uid, lesion, body, hash, 'x'"
        " FROM entries WHERE seq = 4",
    ],
)
def test_loss_and_insertion_are_found(tmp_path: Path, sql: str) -> None:
    filled(path := tmp_path / "r.sqlite", 4)
    changed(path, lambda rows: rows.execute(sql))
    assert check(path)


def test_an_end_cut_off_with_its_note_is_found_by_a_hash_kept_elsewhere(tmp_path: Path) -> None:
    filled(path := tmp_path / "r.sqlite", 4)
    with opened(path) as engine:
        entries = list(Journal(engine).entries())
    changed(path, lambda rows: rows.execute("DELETE FROM entries WHERE seq = 4"))
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute("UPDATE head SET count = 3, hash = ?", (entries[2].hash,))
    assert check(path) == ()
    assert check(path, entries[2].hash) == ()
    assert check(path, entries[3].hash) == (f"no entry has the hash {entries[3].hash}",)


@pytest.mark.parametrize("sql", ["UPDATE entries SET reader = 'x'", "DELETE FROM entries"])
def test_the_database_itself_refuses_a_change(engine: Engine, sql: str) -> None:
    Journal(engine).append(draft(1))
    with engine.begin() as connection, pytest.raises(DatabaseError, match="never changed"):
        connection.exec_driver_sql(sql)
    assert Journal(engine).check().faults == ()


def test_what_must_not_be_entered_leaves_nothing_behind(engine: Engine) -> None:
    def refuse(_: Any) -> None:
        raise ReviewError("not this")

    journal = Journal(engine)
    journal.append(draft(1))
    with pytest.raises(ReviewError, match="not this"):
        journal.append(draft(2), unless=refuse)
    assert [entry.seq for entry in journal.entries()] == [1]
    assert journal.append(draft(3)).seq == 2
    assert journal.check().faults == ()


def test_many_at_once_make_one_chain(engine: Engine) -> None:
    journal = Journal(engine)
    threads = [
        threading.Thread(target=lambda n=n: [journal.append(draft(n)) for _ in range(20)])
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [entry.seq for entry in journal.entries()] == list(range(1, 121))
    assert journal.check().faults == ()


WRITER = """
import sys
from calcilens.review.database import opened
from calcilens.review.journal import Draft, Journal

with opened(sys.argv[1]) as engine:
    while True:
        entry = Journal(engine).append(Draft("r", "verdict", "1.2", "L", {"text": "x" * 500}))
        print(entry.hash, flush=True)
"""


@pytest.mark.slow
def test_after_sigkill_everything_that_was_confirmed_is_there(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    confirmed: list[str] = []
    for pause in (0.05, 0.2, 0.37):
        words = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            confirmed.append(process.stdout.readline().strip())
            time.sleep(pause)
            process.kill()
            rest = process.stdout.read().splitlines()
        confirmed += [line for line in rest if len(line) == 64]
    with opened(path) as engine:
        kept = [entry.hash for entry in Journal(engine).entries()]
        assert Journal(engine).check().faults == ()
    assert set(confirmed) <= set(kept)
    assert len(confirmed) > 3


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(list(value.items()))))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("oracle+nothing://x", "--db: expected a file, or a URL"),
        (
            "sqlite:////nowhere/at/all/r.sqlite",
            "expected a database that can be used, found unable",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(where: str, message: str) -> None:
    with pytest.raises(ReviewError, match=message), opened(where):
        pass


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_text("not a database" * 100)
    with pytest.raises(ReviewError, match="expected a database"), opened(tmp_path / "r.sqlite"):
        pass


def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(ReviewError, match="found that of another program"), opened(path):
        pass
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    filled(path := tmp_path / "r.sqlite", 1)
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ReviewError, match="newer version"), opened(path):
        pass
