"""Answers that say why not: an object with ``detail``, and nothing of what was sent."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from pipeline.errors import LedgerUnavailable


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a request was not done."""

    detail: str
    """The reason."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the schema says of a route's refusals."""
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase}
        for status in (*statuses, 503)
    }


def add_handlers(app: FastAPI) -> None:
    """Have an application answer failures so."""

    @app.exception_handler(RequestValidationError)
    async def not_valid(_request: Request, problem: RequestValidationError) -> JSONResponse:
        # The library's answer would quote what was sent: a password may be in it.
        first = problem.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"{at}: {first['type']}"}, 422)

    @app.exception_handler(LedgerUnavailable)
    async def away(_request: Request, _problem: LedgerUnavailable) -> JSONResponse:
        return JSONResponse({"detail": "the ledger is away"}, 503, {"Retry-After": "5"})
