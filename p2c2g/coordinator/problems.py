"""What goes wrong, as an answer: ``{"detail": "one sentence"}`` and a status.

What was sent is never sent back: it may be a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError

from p2c2g.coordinator.accounts import ForbiddenError, NotAdmittedError, NotFoundError
from p2c2g.coordinator.limiter import TooOftenError
from p2c2g.coordinator.rendering import page
from p2c2g.errors import P2C2GError, UnavailableError, UsageError

Asked = TypeVar("Asked", bound=BaseModel)

#: The first that fits counts.
_STATUSES: Final[tuple[tuple[type[P2C2GError], int], ...]] = (
    (NotAdmittedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (TooOftenError, 429),
    (UsageError, 400),
    (UnavailableError, 503),
    (P2C2GError, 500),
)
_HEADERS: Final = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}


class Problem(BaseModel):
    """What went wrong, in a sentence."""

    detail: str = Field(examples=["This coordinator does not know that key."])


#: What each route of the API may answer instead, for its description.
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "What was asked for cannot be"},
    401: {"model": Problem, "description": "No key, or none that counts"},
    403: {"model": Problem, "description": "The key is not for this"},
    404: {"model": Problem, "description": "There is nothing of that name"},
    408: {"model": Problem, "description": "The body did not come"},
    413: {"model": Problem, "description": "The body is too long"},
    422: {"model": Problem, "description": "A field is not as it has to be"},
    429: {"model": Problem, "description": "Too often: come again after Retry-After seconds"},
    503: {"model": Problem, "description": "Database or broker do not answer"},
}


def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer that says what is wrong."""
    return JSONResponse(
        {"detail": sentence}, status, {**_HEADERS.get(status, {}), **(headers or {})}
    )


def answer_to(error: P2C2GError) -> JSONResponse:
    """Return the answer that tells of an error of ours."""
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, TooOftenError) else None
    return answer(status_of(error), str(error), headers)


def install(app: FastAPI) -> None:
    """Have an application answer so."""

    @app.exception_handler(P2C2GError)
    async def _ours(request: Request, error: P2C2GError) -> Response:
        told = answer_to(error)
        return _as_page(request, told, str(error), error) if _is_page(request) else told

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        told = answer(422, sentence_of(error))
        return _as_page(request, told, sentence_of(error)) if _is_page(request) else told


def _is_page(request: Request) -> bool:
    return getattr(request.state, "is_page", False)


def _as_page(
    request: Request, told: JSONResponse, sentence: str, error: P2C2GError | None = None
) -> Response:
    """Return a page that says what an answer does; who has not signed in is sent to do so."""
    if isinstance(error, NotAdmittedError):
        return RedirectResponse(f"{request.scope.get('root_path', '')}/sign-in", 303)
    shown = page(request, "problem.html", status=told.status_code, sentence=sentence)
    if "Retry-After" in told.headers:
        shown.headers["Retry-After"] = told.headers["Retry-After"]
    return shown


def status_of(error: P2C2GError) -> int:
    """Return the status that an error of ours has."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def sentence_of(error: RequestValidationError) -> str:
    """Return what is wrong with a request, without what it said."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:] if isinstance(part, str)) or "The body"
    return f"{where[:80]} cannot be used: {told(first['msg'])}."


def checked(kind: type[Asked], fields: Mapping[str, object]) -> Asked:
    """Return what a form or a command asks for, as the API would take it.

    Raises:
        UsageError: it would not; the sentence says why.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]} cannot be used: {told(first['msg'])}.") from error


def told(message: str) -> str:
    """Return what pydantic says, fit for the second half of a sentence."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:200]
