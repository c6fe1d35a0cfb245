"""Only who is there, with the right password, has a session; and it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calcilens.errors import ReviewError
from calcilens.review.accounts import IDLE_S, LONGEST_S, Accounts, Reader, Role
from calcilens.review.database import opened

GOOD = "correct horse battery"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


@pytest.fixture
def accounts(path: Path, clock: Clock) -> Iterator[Accounts]:
    with opened(path) as engine:
        made = Accounts(engine, clock)
        made.add("ada", GOOD, Role.ADJUDICATOR)
        yield made


def token(accounts: Accounts) -> str:
    signed = accounts.sign_in("ada", GOOD)
    assert signed is not None
    return signed[0]


def test_who_signs_in_has_a_session_of_their_own_role(accounts: Accounts) -> None:
    session = accounts.session(token(accounts))
    assert session is not None
    assert session.reader == Reader("ada", Role.ADJUDICATOR)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ada", ""), ("bob", GOOD), ("", ""), ("ada", "x" * 10_000), ("ADA", GOOD)],
)
def test_a_wrong_name_or_password_has_none(accounts: Accounts, name: str, password: str) -> None:
    assert accounts.sign_in(name, password) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=60))
def test_no_made_up_token_is_a_session(accounts: Accounts, made_up: str) -> None:
    assert accounts.session(made_up) is None


def test_it_ends_when_it_is_not_used(accounts: Accounts, clock: Clock) -> None:
    good = token(accounts)
    for _ in range(5):
        clock.now += IDLE_S - 1
        assert accounts.session(good) is not None
    clock.now += IDLE_S + 1
    assert accounts.session(good) is None


def test_it_ends_after_a_working_day_in_any_case(accounts: Accounts, clock: Clock) -> None:
    good, end = token(accounts), clock.now + LONGEST_S
    while clock.now + 3600 < end:
        clock.now += 3600
        assert accounts.session(good) is not None
    clock.now = end + 1
    assert accounts.session(good) is None


def test_who_signs_out_has_none_any_more_and_others_keep_theirs(accounts: Accounts) -> None:
    first, second = token(accounts), token(accounts)
    assert first != second
    accounts.sign_out(first)
    assert accounts.session(first) is None
    assert accounts.session(second) is not None


def test_a_new_password_and_being_shut_out_end_all_sessions(accounts: Accounts) -> None:
    good = token(accounts)
    accounts.change("ada", password="another long password")  # noqa: S106
    assert accounts.session(good) is None
    assert accounts.sign_in("ada", GOOD) is None
    accounts.change("ada", active=False)
    assert accounts.sign_in("ada", "another long password") is None
    assert accounts.readers() == [Reader("ada", Role.ADJUDICATOR, active=False)]


def test_neither_password_nor_token_is_in_the_file(accounts: Accounts, path: Path) -> None:
    good = token(accounts)
    with closing(sqlite3.connect(path)) as rows:
        dump = "\n".join(rows.iterdump())
    assert "argon2id" in dump
    assert GOOD not in dump
    assert good not in dump


@pytest.mark.parametrize("name", ["", "Ada", "a b", "../x", "a" * 65, "é", "-a", "a\n"])
def test_a_name_that_is_none_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(ReviewError, match="reader: expected a name"):
        accounts.add(name, GOOD)


@pytest.mark.parametrize(
    "password", ["aaaaaaaaaaaa", "abababababab", "annabel.annabel1", "a1" * 50]
)
def test_a_password_that_is_guessed_at_once_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(ReviewError, match="5 different characters besides the name"):
        accounts.add("annabel", password)
    assert "annabel" not in {reader.name for reader in accounts.readers()}


def test_a_name_twice_or_a_short_password_is_refused(accounts: Accounts) -> None:
    with pytest.raises(ReviewError, match="expected a new name, found ada"):
        accounts.add("ada", GOOD)
    with pytest.raises(
        ReviewError, match="expected a password of 12 to 200 characters, found one of 5"
    ):
        accounts.add("bob", "short")
    with pytest.raises(ReviewError, match="expected a reader, found bob"):
        accounts.change("bob", active=False)
