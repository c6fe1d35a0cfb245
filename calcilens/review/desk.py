"""What all routes share: accounts, journal, settings; and who asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request
from sqlalchemy import Engine

from calcilens.review.accounts import Accounts, Reader, Role, Session
from calcilens.review.attachments import Attachments
from calcilens.review.figures import Figures
from calcilens.review.library import Library
from calcilens.review.limiter import Limiter
from calcilens.review.pictures import Pictures
from calcilens.review.reading import Reading
from calcilens.review.settings import Settings
from calcilens.review.shelf import Shelf

SESSION_COOKIE, FORM_COOKIE = "calcilens_session", "calcilens_form"
_AT_ONCE = 2


@dataclass
class Desk:
    """What all routes share.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        settings: What the page was told.
        limiter: How often one may ask.
        hashing: Passwords looked at at once: each takes 64 MB and a core.
    """

    engine: Engine
    settings: Settings
    limiter: Limiter = field(default_factory=Limiter)
    hashing: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))

    def __post_init__(self) -> None:
        settings = self.settings
        self.accounts = Accounts(self.engine)
        self.attachments = Attachments(self.engine)
        self.library = Library(settings.reports)
        self.pictures = Pictures(settings.studies, settings.cache, settings.cache_gb * 2**30)
        self.shelf = Shelf(self.library)
        self.reading = Reading(
            self.engine, self.shelf, readers=settings.readers, blinded=settings.blinded
        )
        self.figures = Figures(self.engine, self.library, settings.readers)


async def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


async def _session(request: Request) -> Session:
    """Return who asks: the guard lets nobody else come as far as here."""
    found: Session = request.state.session
    return found


async def _me(request: Request) -> Reader:
    return (await _session(request)).reader


AtDesk = Annotated[Desk, Depends(_desk)]
Signed = Annotated[Session, Depends(_session)]
Me = Annotated[Reader, Depends(_me)]
StudyUid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]

__all__ = ["AtDesk", "Desk", "Me", "Name", "Role", "Sha256", "Signed", "StudyUid"]
