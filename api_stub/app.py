"""The HTTP application: routes, errors and what opens and closes with the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api_stub import health, inbox, messages
from api_stub.errors import install_error_handlers
from api_stub.front import install_front, open_front
from api_stub.request_ids import RequestIds
from delivery.settings import Settings

_PREFIX = "/v2"


def make_http_app(settings: Settings) -> FastAPI:
    """Make the application of one API process. It connects when it starts to serve."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_front(settings) as front:
            install_front(app, front)
            yield

    # Its documentation pages bring their scripts along; FastAPI's own would load them from elsewhere.
    app: FastAPI = FastAPIOffline(
        title="Postroom",
        description="Send messages to account holders and see what becomes of them. Every path also works below /v2.",
        version="2",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    for router in (messages.router, inbox.router):
        app.include_router(router)
        app.include_router(router, prefix=_PREFIX, include_in_schema=False)
    app.include_router(health.router)
    install_error_handlers(app)
    app.add_middleware(RequestIds)
    return app
