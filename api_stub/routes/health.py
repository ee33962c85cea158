"""Report whether this process is alive and can serve, for load balancers, compose and the supervisor."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api_stub import openapi
from api_stub.services import services_of
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE
from delivery.records.outages import OutageCause

router = APIRouter(tags=["health"])

_RETRY_AFTER_S = "2"


class Health(BaseModel):
    """Whether messages can be stored, the state of database and broker, and why the database cannot be used."""

    status: str
    database: str
    broker: str
    cause: OutageCause | None = None


@router.get("/healthz", openapi_extra=openapi.OPEN)
async def alive() -> dict[str, str]:
    """Return 200 as long as the event loop of this process runs. Restart the process if this route does not respond."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    response_model=Health,
    responses={503: {"model": Health, "description": "Not now."}},
    openapi_extra=openapi.OPEN,
)
async def ready(request: Request) -> JSONResponse:
    """Return 200 if messages can be stored: the database is reachable and has this version's schema, or a later one.

    An unreachable broker is reported and does not count: messages are stored and delivered without it.
    """
    services = services_of(request)
    cause: OutageCause | None = None
    try:
        database = "ok" if await services.schema_check.submit(None, None) else "schema_not_current"
    except (*DATABASE_UNAVAILABLE, TimeoutError) as error:
        database, cause = "unreachable", log_outage(error, asked="readyz").cause
    is_ready = database == "ok"
    content = {
        "status": "ready" if is_ready else "not_ready",
        "database": database,
        **({"cause": cause} if cause else {}),
        "broker": "ok" if services.doorbell.is_ringing else "unreachable",
    }
    if is_ready:
        return JSONResponse(content)
    return JSONResponse(content, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_AFTER_S})
