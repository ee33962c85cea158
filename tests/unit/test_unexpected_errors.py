"""An unexpected exception becomes a 500 like every other error, with its id and without its text."""

from pathlib import Path

import httpx2
from fastapi import FastAPI
from structlog.testing import capture_logs

from api_stub.server.errors import install_error_handlers
from api_stub.server.request_ids import RequestIds
from api_stub.server.unexpected_errors import UnexpectedErrors
from delivery.records.database import LockTimeout
from tests.support.leaping_loop import run

SECRET = "Guten Tag, Ada"


def answer_of(error: Exception) -> httpx2.Response:
    """Request the only route of an application, which raises this."""
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RequestIds)

    @app.get("/")
    async def broken() -> None:
        raise error

    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://door") as client:
            return await client.get("/")

    return run(ask())


def test_a_defect_is_answered_with_its_request_id_and_without_its_text() -> None:
    with capture_logs() as logged:
        answer = answer_of(RuntimeError(SECRET))

    assert (500, "internal_error") == (answer.status_code, answer.json()["error"])
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert SECRET not in f"{answer.text} {logged}"
    assert ["request_broke", "request_refused"] == [event["event"] for event in logged]
    assert Path(__file__).name in logged[0]["where"]


def test_a_lock_timeout_asks_the_client_to_try_again() -> None:
    answer = answer_of(LockTimeout())

    assert 503 == answer.status_code
    assert int(answer.headers["Retry-After"]) > 0
