"""Every error of the front door, in one form: always JSON, never an echo of what was sent, never a traceback."""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api_stub.request_ids import request_id_of
from delivery.intake.faults import Fault, Unacceptable
from delivery.records.engine import STORE_UNAVAILABLE

_log = structlog.get_logger()
_RETRY_AFTER_S = "2"


class Refusal(Exception):  # noqa: N818 - an answer, not a defect
    """An answer other than the one that was asked for: status, machine word and sentence."""

    def __init__(
        self, status: HTTPStatus, error: str, description: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.error = error
        self.description = description
        self.headers = dict(headers or {})
        super().__init__(error)


def not_found() -> Refusal:
    """Give the one answer for what does not exist and for what belongs to somebody else."""
    return Refusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")


def install_error_handlers(app: FastAPI) -> None:
    """Let every error leave in our form."""
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(Unacceptable, _answer_unacceptable)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameter)
    app.add_exception_handler(HTTPException, _answer_http)
    for unavailable in (*STORE_UNAVAILABLE, TimeoutError):
        app.add_exception_handler(unavailable, _answer_unavailable)
    app.add_exception_handler(Exception, _answer_defect)


async def _answer_refusal(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Refusal):
        raise error
    return _respond(request, error)


async def _answer_unacceptable(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Unacceptable):
        raise error
    return _list_faults(request, error.faults)


async def _answer_bad_parameter(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    names = sorted({str(each["loc"][-1]) for each in error.errors()})
    return _list_faults(
        request, [Fault(name, "invalid_value", f"The parameter {name} is not valid.") for name in names]
    )


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        return _respond(request, not_found())
    word = status.phrase.lower().replace(" ", "_")
    return _respond(request, Refusal(status, word, f"{status.phrase}.", headers=error.headers))


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.warning("store_unavailable", error=type(error).__name__, request_id=request_id_of(request))
    description = "Postroom cannot store anything right now. Nothing was accepted; send it again in a moment."
    headers = {"Retry-After": _RETRY_AFTER_S}
    return _respond(request, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", description, headers=headers))


async def _answer_defect(request: Request, error: Exception) -> JSONResponse:
    # The message of an unforeseen error may quote what was sent, so only its type is logged.
    _log.error("request_broke", error=type(error).__name__, request_id=request_id_of(request))
    description = "Something broke on our side. Report it with the request id."
    return _respond(request, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", description))


def _list_faults(request: Request, faults: list[Fault]) -> JSONResponse:
    listed = [{"field": fault.place, "code": fault.code, "message": fault.message} for fault in faults]
    content = {
        "success": 0,
        "error_messages": [fault.message for fault in faults],
        "errors": listed,
        "request_id": request_id_of(request),
    }
    return JSONResponse(content, HTTPStatus.BAD_REQUEST)


def _respond(request: Request, refusal: Refusal) -> JSONResponse:
    content = {
        "success": 0,
        "error": refusal.error,
        "error_description": refusal.description,
        "error_messages": [refusal.description],
        "request_id": request_id_of(request),
    }
    return JSONResponse(content, refusal.status, refusal.headers)
