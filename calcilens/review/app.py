"""The review page as an application that a server runs."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.staticfiles import StaticFiles

from calcilens.review import refusals
from calcilens.review.desk import Desk
from calcilens.review.routes import (
    auth,
    exports,
    images,
    masks,
    pages,
    readers,
    statistics,
    studies,
    verdicts,
    worklist,
)
from calcilens.review.security import Guard
from calcilens.review.settings import Settings

_ROUTES = (pages, auth, readers, worklist, studies, images, masks, verdicts, statistics, exports)


def create_app(engine: Engine, settings: Settings) -> Guard:
    """Return the application.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        settings: What is shown, and how.
    """
    # A system may know nothing of it, or something that browsers refuse as a module.
    mimetypes.add_type("text/javascript", ".js")
    desk = Desk(engine, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.library.start()
        desk.pictures.start()
        try:
            yield
        finally:
            desk.pictures.close()
            desk.library.close()

    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.state.desk = desk
    for module in _ROUTES:
        app.include_router(module.router)
    app.mount(
        "/static", StaticFiles(directory=pages.PAGE / "static", check_dir=False), name="static"
    )
    refusals.register(app)
    return Guard(app, desk)
