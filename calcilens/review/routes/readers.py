"""Who may sign in: for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from calcilens.errors import NotAllowed, NotThere, compose
from calcilens.review.accounts import Reader, Role
from calcilens.review.desk import AtDesk, Me, Name
from calcilens.review.routes.sent import Sent

router = APIRouter(prefix="/api/readers")


class NewReader(Sent):
    """Somebody who is to be added."""

    name: str
    password: str
    role: Annotated[Role, Field(strict=False)]


class Change(Sent):
    """What is to change."""

    password: str | None = None
    active: bool | None = None


@router.get("")
def readers(desk: AtDesk, me: Me) -> list[dict[str, Any]]:
    """Return all readers."""
    _administrator(me)
    return [_shown(reader) for reader in desk.accounts.readers()]


@router.post("")
def add(what: NewReader, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Add one."""
    _administrator(me)
    with desk.hashing:
        return _shown(desk.accounts.add(what.name, what.password, what.role))


@router.post("/{name}")
def change(name: Name, what: Change, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Give one a new password, or let them sign in no more; their sessions end."""
    _administrator(me)
    if all(reader.name != name for reader in desk.accounts.readers()):
        raise NotThere(compose("a reader", "none", where=name))
    if name == me.name and what.active is False:
        raise NotAllowed("you cannot shut yourself out; another administrator can")
    with desk.hashing:
        desk.accounts.change(name, password=what.password, active=what.active)
    return next(_shown(reader) for reader in desk.accounts.readers() if reader.name == name)


def _administrator(me: Reader) -> None:
    if me.role is not Role.ADMINISTRATOR:
        raise NotAllowed("only administrators manage readers")


def _shown(reader: Reader) -> dict[str, Any]:
    return {"name": reader.name, "role": reader.role.value, "active": reader.active}
