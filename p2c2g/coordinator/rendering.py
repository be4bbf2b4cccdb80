"""How a page of the coordinator's is made: templates, and what all of them are given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from p2c2g.coordinator.keys import KeyRole
from p2c2g.coordinator.logins import Visit

#: What the field of a form's token is called.
TOKEN: Final = "token"  # noqa: S105 - its name
#: The pages of each role.
MENUS: Final = {
    KeyRole.GAMER: (("/mine", "Mine"),),
    KeyRole.PEER: (("/mine", "Mine"),),
    KeyRole.OPERATOR: (("/pool", "Pool"), ("/keys", "Keys"), ("/audit", "Audit log")),
}


def page(
    request: Request, template: str, visit: Visit | None = None, status: int = 200, **what: Any
) -> HTMLResponse:
    """Return a page.

    Args:
        request: that it answers.
        template: its file.
        visit: who has signed in.
        status: of the answer.
        what: the template needs besides.
    """
    root = request.scope.get("root_path", "")

    def token() -> Markup:
        value = visit.form_token if visit else ""
        return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN, value)

    given = {
        "root": root,
        "visit": visit,
        "menu": MENUS[visit.identity.role] if visit else (),
        "here": request.scope["path"].removeprefix(root),
        "notice": "",
        "status": status,
        "token": token,
        **what,
    }
    return HTMLResponse(_templates().get_template(template).render(given), status)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("p2c2g.coordinator"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["minute"] = _minute
    templates.filters["told"] = _told
    templates.filters["iso"] = lambda at: f"{_utc(at):%Y-%m-%dT%H:%M:%SZ}"
    return templates


def _minute(at: float) -> str:
    return f"{_utc(at):%Y-%m-%d %H:%M} UTC"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _told(details: str) -> str:
    """Return what a row of the audit log has in JSON, for people."""
    found: dict[str, Any] = json.loads(details)
    if isinstance(at := found.get("expires"), float):
        found["expires"] = _minute(at)
    for name, value in found.items():
        if isinstance(value, list):
            found[name] = " ".join(map(str, value))
    return ", ".join(f"{name} {value}" for name, value in found.items() if value not in (None, ""))
