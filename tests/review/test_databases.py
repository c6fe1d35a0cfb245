"""Reviews are kept in SQLite and in PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from calcilens.errors import Conflict, NotAllowed, ReviewError
from calcilens.review.accounts import Accounts, Reader, Role
from calcilens.review.answers import Answer
from calcilens.review.attachments import Attachments
from calcilens.review.database import opened
from calcilens.review.journal import Draft, Journal
from calcilens.review.reading import Place, Reading
from calcilens.review.state import Phase
from calcilens.review.tables import Base
from calcilens.review.verify import verified
from tests.review.postgres import IN_CI, binaries, postgresql

PASSWORD = "correct horse battery"  # noqa: S105 of a test
PROGRAMS = binaries()
NEEDED = pytest.mark.skipif(
    PROGRAMS is None and not IN_CI, reason="no PostgreSQL is installed, and CALCILENS_CI is not set"
)
ADA, BOB = Reader("ada", Role.READER), Reader("bob", Role.READER)
CYD = Reader("cyd", Role.ADJUDICATOR)
UID = "1.2.3"
Factory = pytest.TempPathFactory


@dataclass(frozen=True)
class OneReport:
    sha256: str = "a" * 64
    raw: bytes = b"{}"
    lesion_ids: tuple[str, ...] = ("L1",)


class OneStudy:
    def report(self, study_uid: str) -> OneReport:
        assert study_uid == UID
        return OneReport()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=NEEDED)])
def where(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('db') / 'r.sqlite'}"
        return
    assert PROGRAMS is not None, "CI has no PostgreSQL: see .ci/run"
    with postgresql(PROGRAMS) as url:
        yield url


@pytest.fixture
def engine(where: str) -> Iterator[Engine]:
    """An empty database: what an earlier test left is dropped first."""
    with opened(where) as engine, engine.begin() as connection:
        for trigger in ("entries_update", "entries_delete"):
            on = "" if engine.dialect.name == "sqlite" else " ON entries"
            connection.execute(text(f"DROP TRIGGER {trigger}{on}"))
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP FUNCTION refuse_change CASCADE"))
        Base.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    with opened(where) as engine:
        yield engine


def test_migrations_lead_to_the_tables_that_the_program_knows(engine: Engine) -> None:
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing(where: str, engine: Engine) -> None:
    entry = Journal(engine).append(Draft("ada", "verdict", UID, None, {"é": "\u0000 ☃"}))
    with opened(where) as again:
        assert list(Journal(again).entries()) == [entry]
        assert Journal(again).check(entry.hash).faults == ()


def test_entries_cannot_be_changed(engine: Engine) -> None:
    Journal(engine).append(Draft("ada", "verdict", UID, None, {}))
    for sql in ("UPDATE entries SET reader = 'x'", "DELETE FROM entries"):
        with engine.begin() as connection, pytest.raises(DatabaseError, match="never changed"):
            connection.execute(text(sql))
    assert verified(engine).faults == ("entry 1 is of ada, who is no reader",)


def test_many_at_once_make_one_chain(engine: Engine) -> None:
    journal = Journal(engine)

    def enter(n: int) -> None:
        for _ in range(15):
            journal.append(Draft(f"r{n}", "verdict", UID, None, {"n": n}))

    threads = [threading.Thread(target=enter, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [entry.seq for entry in journal.entries()] == list(range(1, 76))
    assert journal.check().faults == ()


def test_sessions_begin_and_end(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("ada", PASSWORD, Role.READER)
    with pytest.raises(ReviewError, match="which is there"):
        accounts.add("ada", PASSWORD, Role.READER)
    assert accounts.sign_in("ada", "wrong password") is None
    signed = accounts.sign_in("ada", PASSWORD)
    assert signed is not None
    session = accounts.session(signed[0])
    assert session is not None
    assert session.reader == Reader("ada", Role.READER)
    accounts.change("ada", active=False)
    assert accounts.session(signed[0]) is None
    assert accounts.sign_in("ada", PASSWORD) is None


def test_contents_come_back_as_they_were(engine: Engine) -> None:
    attachments = Attachments(engine)
    content = bytes(range(256)) * 100
    assert attachments.put(content) == attachments.put(content)
    assert attachments.get(attachments.put(content)) == content


def test_a_study_is_read_disputed_and_settled(engine: Engine) -> None:
    reading = Reading(engine, OneStudy(), readers=2, blinded=True)
    yes, no = Answer(True, ("diffuse",), "low"), Answer(False)
    for reader, answer in ((ADA, yes), (BOB, no)):
        reading.take(reader, UID)
        with pytest.raises(NotAllowed, match="commit your answer first"):
            reading.verdict(reader, UID, "L1", answer, based_on=0, seconds=1)
        reading.commit(reader, UID, "L1", answer, 1)
        reading.verdict(reader, UID, "L1", answer, based_on=0, seconds=1)
        with pytest.raises(Conflict, match="meanwhile"):
            reading.verdict(reader, UID, "L1", answer, based_on=0, seconds=1)
        reading.sign(reader, UID, {"all": 2.0})
    assert reading.rules.phase(reading.state(UID)) is Phase.DISPUTED
    reading.take(CYD, UID)
    reading.settle(CYD, UID, "L1", yes, based_on=0, seconds=1)
    reading.sign(CYD, UID, {})
    assert reading.rules.phase(reading.state(UID)) is Phase.DONE
    again = Reading(engine, OneStudy(), readers=2, blinded=True)
    assert again.state(UID) == reading.state(UID)
    assert Journal(engine).check().faults == ()


def test_two_on_one_lesion_at_once_one_is_told(engine: Engine) -> None:
    reading = Reading(engine, OneStudy(), readers=2, blinded=False)
    reading.take(ADA, UID)
    told: list[str] = []

    def say() -> None:
        try:
            reading.verdict(ADA, UID, "L1", Answer(True), based_on=0, seconds=1)
            told.append("kept")
        except Conflict:
            told.append("told")

    threads = [threading.Thread(target=say) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == ["kept"] + ["told"] * 5


def test_an_added_lesion_is_there_until_it_is_withdrawn(engine: Engine) -> None:
    reading = Reading(engine, OneStudy(), readers=1, blinded=False)
    reading.take(ADA, UID)
    place = Place(0, "1.2.3.4", (4, 8, 8), ((0, 0, 0), (2, 3, 4)))
    entry = reading.add(ADA, UID, place, Answer(True), 1)
    assert reading.state(UID).added_by("ada") == (entry.lesion,)
    reading.withdraw(ADA, UID, str(entry.lesion), entry.seq)
    assert reading.state(UID).added_by("ada") == ()


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
    url = f"postgresql+psycopg://nobody:secret@/none?host={tmp_path}"
    message = "expected a database that can be used"
    with pytest.raises(ReviewError, match=message) as caught, opened(url):
        pass
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
