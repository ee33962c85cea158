"""Every error of the API in one form: JSON, without an echo of the request and without a traceback."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from api_stub.server.refusal_log import log_refusal
from api_stub.server.request_ids import request_id_of
from delivery.intake.errors import FieldError, InvalidInput
from delivery.logs import place_of
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, LockTimeout

_log = structlog.get_logger()
_RETRY_AFTER_S = "2"


class ApiError(Exception):
    """An error response: status, code, sentence, and perhaps the errors of single fields."""

    def __init__(
        self,
        status: HTTPStatus,
        error: str,
        description: str,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[FieldError] = (),
    ) -> None:
        self.status = status
        self.error = error
        self.description = description
        self.headers = dict(headers or {})
        self.faults = faults
        super().__init__(error)


def not_found() -> ApiError:
    """Return the one error for what does not exist and for what belongs to another client."""
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")


def respond(scope: Scope, error: ApiError) -> JSONResponse:
    """Log an error and return it as a response."""
    log_refusal(scope, error.status, error.error)
    content: dict[str, object] = {
        "success": 0,
        "error": error.error,
        "error_description": error.description,
        "error_messages": [error.description],
        "request_id": request_id_of(scope),
    }
    if error.faults:
        content["errors"] = _listed(error.faults)
    return JSONResponse(content, error.status, error.headers)


def install_error_handlers(app: FastAPI) -> None:
    """Return every error in the form of this API."""
    app.add_exception_handler(ApiError, _answer_api_error)
    app.add_exception_handler(InvalidInput, _answer_invalid_input)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameter)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ClientDisconnect, _answer_disconnected)
    for outage in (*DATABASE_UNAVAILABLE, TimeoutError, ConnectionError, LockTimeout):
        app.add_exception_handler(outage, _answer_unavailable)


async def _answer_api_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ApiError):
        raise error
    return respond(request.scope, error)


async def _answer_invalid_input(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, InvalidInput):
        raise error
    return _list_faults(request, error.faults)


async def _answer_bad_parameter(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    names = sorted({str(each["loc"][-1]) for each in error.errors()})
    return _list_faults(
        request, [FieldError(name, "invalid_value", f"The parameter {name} is not valid.") for name in names]
    )


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        return respond(request.scope, not_found())
    code = status.phrase.lower().replace(" ", "_")
    return respond(request.scope, ApiError(status, code, f"{status.phrase}.", headers=error.headers))


async def _answer_disconnected(request: Request, error: Exception) -> JSONResponse:
    """Return an error for a client that disconnected within its body; nothing was stored."""
    del error
    interrupted = ApiError(HTTPStatus.BAD_REQUEST, "bad_request", "The body ended before it was whole.")
    return respond(request.scope, interrupted)


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    log_outage(error, request_id=request_id_of(request.scope))
    # An interrupted COMMIT may have succeeded, so the sentence does not claim that nothing was stored.
    description = (
        "Postroom's store does not answer right now. Send the same again in a moment, with the same Idempotency-Key "
        "if you gave one."
    )
    headers = {"Retry-After": _RETRY_AFTER_S}
    return respond(request.scope, ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", description, headers=headers))


def answer_defect(scope: Scope, error: Exception) -> JSONResponse:
    """Log a defect by its type and place, and return a 500."""
    _log.error("request_broke", error=type(error).__name__, where=place_of(error), request_id=request_id_of(scope))
    description = "Something broke on our side. Report it with the request id."
    return respond(scope, ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", description))


def _list_faults(request: Request, faults: Sequence[FieldError]) -> JSONResponse:
    log_refusal(request.scope, HTTPStatus.BAD_REQUEST, ",".join(sorted({fault.code for fault in faults})))
    content = {
        "success": 0,
        "error_messages": [fault.message for fault in faults],
        "errors": _listed(faults),
        "request_id": request_id_of(request.scope),
    }
    return JSONResponse(content, HTTPStatus.BAD_REQUEST)


def _listed(faults: Sequence[FieldError]) -> list[dict[str, str]]:
    return [{"field": fault.place, "code": fault.code, "message": fault.message} for fault in faults]
