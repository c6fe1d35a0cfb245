"""The pages themselves; what they show comes from the other routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calcilens import DISCLAIMER
from calcilens.review.accounts import Role, Session
from calcilens.review.desk import AtDesk, Signed, StudyUid
from calcilens.review.routes.auth import FIRST_PAGE, form_token, keep_form_token
from calcilens.vocabulary import PATTERNS

PAGE = Path(__file__).parent.parent / "page"
router = APIRouter()
_TEMPLATES = Environment(
    loader=FileSystemLoader(PAGE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_VOCABULARY = [
    {"key": p.key, "label": p.label, "look": p.look, "reading": p.reading.value} for p in PATTERNS
]


@router.get("/")
def first() -> Response:
    """Go to the worklist; who is not signed in never comes here."""
    return RedirectResponse(FIRST_PAGE, 303)


@router.get("/sign-in")
def sign_in(request: Request, desk: AtDesk) -> Response:
    """Show the form, with a token that is no session's."""
    if request.state.session is not None:
        return RedirectResponse(FIRST_PAGE, 303)
    token = form_token(request)
    answer = _page("sign_in", csrf=token)
    keep_form_token(answer, desk, token)
    return answer


@router.get("/worklist")
def worklist(session: Signed) -> Response:
    """Show the list of studies."""
    return _of(session, "worklist")


@router.get("/statistics")
def statistics(session: Signed) -> Response:
    """Show how readers and models agree."""
    return _of(session, "statistics")


@router.get("/readers")
def readers(session: Signed) -> Response:
    """Show who may sign in, to administrators."""
    if session.reader.role is not Role.ADMINISTRATOR:
        return _of(session, "refused", status=403)
    return _of(session, "readers")


@router.get("/studies/{study_uid}")
def study(study_uid: StudyUid, session: Signed) -> Response:
    """Show a study; whether there is one, and for whom, its own route says."""
    return _of(session, "study")


def _of(session: Session, name: str, *, status: int = 200) -> Response:
    me = {"name": session.reader.name, "role": session.reader.role.value}
    return _page(name, status=status, csrf=session.csrf, me=me)


def _page(name: str, *, status: int = 200, **facts: Any) -> Response:
    common = {"me": None, "error": None, "notice": DISCLAIMER, "vocabulary": _VOCABULARY}
    content = _TEMPLATES.get_template(f"{name}.html.j2").render({**common, "page": name, **facts})
    return HTMLResponse(content, status)
