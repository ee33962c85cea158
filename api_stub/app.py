"""Make the HTTP application: routes, error handlers, middleware, and the services that live as long as the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api_stub import openapi
from api_stub.desk import bulk as desk_bulk
from api_stub.desk import case_work as desk_case_work
from api_stub.desk import cases as desk_cases
from api_stub.desk import decisions as desk_decisions
from api_stub.desk import lists as desk_lists
from api_stub.desk import login as desk_login
from api_stub.desk import overview as desk_overview
from api_stub.desk import people as desk_people
from api_stub.desk import standing as desk_standing
from api_stub.desk import trail as desk_trail
from api_stub.desk import unknown as desk_unknown
from api_stub.pages import unsubscribe
from api_stub.routes import (
    accounts,
    case_decisions,
    cases,
    health,
    inbox,
    messages,
    rule_changes,
    rules,
    security_txt,
    tokens,
)
from api_stub.server.connection_refusals import COUNT
from api_stub.server.errors import install_error_handlers
from api_stub.server.refusal_log import begin_log
from api_stub.server.request_ids import RequestIds
from api_stub.server.route_guard import RouteGuard, methods_of
from api_stub.server.unexpected_errors import UnexpectedErrors
from api_stub.services import install_services, open_services
from delivery.settings import Settings
from delivery.unsubscribe_tokens import PATH

_CONTRACT = (messages.router, accounts.router, inbox.router, tokens.router)
_OTHERS = (
    rules.router,
    rule_changes.router,
    cases.router,
    case_decisions.router,
    unsubscribe.router,
    health.router,
    security_txt.router,
)
# Existing clients use both forms of the contract's paths.
_DESK = (
    desk_login.router,
    desk_cases.router,
    desk_decisions.router,
    desk_case_work.router,
    desk_bulk.router,
    desk_overview.router,
    desk_people.router,
    desk_standing.router,
    desk_lists.router,
    desk_trail.router,
    desk_unknown.router,
)
_MOUNTED = (
    *((router, prefix) for router in _CONTRACT for prefix in ("", "/v2")),
    *((router, "") for router in _OTHERS),
)


def make_http_app(settings: Settings) -> FastAPI:
    """Make the application of one API process. It connects when it starts to serve."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        begin_log()
        async with open_services(settings) as services:
            install_services(app, services)
            yield {COUNT: services.limiter.count_malformed}

    # Its documentation pages include their scripts; FastAPI's own pages load them from another host.
    app: FastAPI = FastAPIOffline(
        docs_url="/docs" if settings.docs else None,
        redoc_url="/redoc" if settings.docs else None,
        title="Postroom",
        description="Send messages to account holders and see what becomes of them. Its paths also work below /v2.",
        version="2",
        lifespan=lifespan,
        redirect_slashes=False,
        # Otherwise FastAPI looks for tracers at every request: 4 % of the API's time.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    routes = list(methods_of(app.router.routes))
    desk = tuple((router, "") for router in _DESK) if settings.desk else ()
    for router, prefix in (*_MOUNTED, *desk):
        app.include_router(router, prefix=prefix, include_in_schema=router.include_in_schema and not prefix)
        routes += methods_of(router.routes, prefix)
    openapi.describe(app)
    install_error_handlers(app)
    app.add_middleware(RouteGuard, routes=routes, pages=PATH)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RequestIds)
    return app
