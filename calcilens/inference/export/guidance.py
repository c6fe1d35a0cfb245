"""Guidance alone as one page that opens offline."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from calcilens import DISCLAIMER
from calcilens.inference.export.html import PAGE, environment, policy


def page(guidance: dict[str, Any]) -> str:
    """Return the page of a guidance document."""
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("guide.html.j2")
        .render(
            csp=policy(style),
            style=Markup(style),  # noqa: S704 our own file
            disclaimer=DISCLAIMER,
            d=guidance,
        )
    )
