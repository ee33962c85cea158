"""Is this process alive, and can it serve? For load balancers, compose and the supervisor."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api_stub.services import services_of
from delivery.records.database import DATABASE_UNAVAILABLE
from delivery.records.migrate import is_current

router = APIRouter(tags=["health"])

_RETRY_AFTER_S = "2"


class Health(BaseModel):
    """Whether messages can be taken in, and what of that stands or lies down."""

    status: str
    database: str
    broker: str


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Answer as long as this process runs its event loop. Restart it when this does not answer."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Health, responses={503: {"model": Health, "description": "Not now."}})
async def ready(request: Request) -> JSONResponse:
    """Answer 200 when messages can be taken in: the database answers and has this version's schema.

    A broker that is away is told, and is no reason to send nobody here: messages are stored and delivered without.
    """
    services = services_of(request)
    try:
        database = "ok" if await services.database.run(is_current) else "schema_not_current"
    except (*DATABASE_UNAVAILABLE, TimeoutError):
        database = "unreachable"
    is_ready = database == "ok"
    content = {
        "status": "ready" if is_ready else "not_ready",
        "database": database,
        "broker": "ok" if services.doorbell.is_ringing else "unreachable",
    }
    if is_ready:
        return JSONResponse(content)
    return JSONResponse(content, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_AFTER_S})
