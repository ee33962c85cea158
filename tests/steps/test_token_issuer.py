"""Tokens of a trusted issuer over HTTP, from an issuer that really listens."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.identities import clients, credentials, issuer_links
from delivery.settings import Settings
from delivery.vocabulary import Scope
from tests.support import issuer
from tests.support.api_server import open_door
from tests.support.credentials import minted
from tests.support.fixtures import Fixtures
from tests.support.issuer import AUDIENCE, ISSUER, KEY
from tests.support.waiting import wait_until


@dataclass
class RealIssuer:
    """An issuer on a local port: its responses, and the requests that it got."""

    port: int = 0
    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str | None, dict[str, list[str]]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Return a URL of it."""
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def listening() -> Iterator[RealIssuer]:
    """Run an issuer until the block ends."""
    real = RealIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Send the response of this path."""
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            real.asked.append((self.path, self.headers.get("Authorization"), parse_qs(form)))
            self.send_response(real.status)
            self.send_header("Location", real.url("/elsewhere"))
            self.end_headers()
            self.wfile.write(json.dumps(real.answer).encode())

        do_POST = do_GET  # noqa: N815 - http.server calls methods by these names

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    real.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield real
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _linked(fixtures: Fixtures) -> None:
    """Let the issuer's tokens work as the client of the fixtures, under its id."""
    link(fixtures, str(fixtures.client_id))


def link(fixtures: Fixtures, issuer_client: str, client_id: UUID | None = None) -> None:
    """Let tokens for this client of the issuer work as a client: by default, that of the fixtures."""
    with transaction(fixtures.database) as db:
        issuer_links.link(db, client_id or fixtures.client_id, issuer_client)


@pytest.fixture
def real() -> Iterator[RealIssuer]:
    """Yield an issuer that publishes one key."""
    with listening() as found:
        found.answer = issuer.published(KEY)
        yield found


def trusting(settings: Settings, **chosen: str) -> Settings:
    """Make settings that trust the issuer."""
    facts: dict[str, Any] = {**settings.model_dump(), "issuer": ISSUER, "issuer_audience": AUDIENCE, **chosen}
    return Settings(**facts)


def by_keys(settings: Settings, real: RealIssuer) -> Settings:
    """Make settings that trust tokens signed by it."""
    return trusting(settings, issuer_jwks_url=real.url("/keys"))


def by_asking(settings: Settings, real: RealIssuer) -> Settings:
    """Make settings that trust its introspection."""
    secret = {"issuer_introspection_client_id": "post room", "issuer_introspection_client_secret": "a:b"}
    return trusting(settings, issuer_introspection_url=real.url("/introspect"), **secret)


def token(fixtures: Fixtures, **chosen: Any) -> str:
    """Return a signed token for the client of the fixtures."""
    now = int(time())
    facts = {"client_id": str(fixtures.client_id), "iat": now, "exp": now + 600, "scope": "message.read"}
    return issuer.token(**{**facts, **chosen})


def ask(http: httpx2.Client, text: str) -> httpx2.Response:
    """Request the list of messages."""
    return http.get("/messages", headers={"Authorization": f"Bearer {text}"})


def test_a_signed_token_gets_in_and_its_keys_are_fetched_once(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    with open_door(by_keys(settings, real)) as http:
        answers = [ask(http, token(fixtures)) for _ in range(3)]

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert [("/keys", None, {})] == real.asked


def test_a_token_may_do_no_more_than_its_client(settings: Settings, fixtures: Fixtures, real: RealIssuer) -> None:
    with transaction(fixtures.database) as db:
        clients.put(db, fixtures.client_id, "shop", scopes=[Scope.MESSAGE_SEND])
    link(fixtures, "shop")

    with open_door(by_keys(settings, real)) as http:
        answer = ask(http, token(fixtures, client_id="shop"))

    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["error"])


def test_a_token_may_do_no_more_than_it_says(settings: Settings, fixtures: Fixtures, real: RealIssuer) -> None:
    with open_door(by_keys(settings, real)) as http:
        answers = [ask(http, token(fixtures, scope=scope)) for scope in (None, "", "message.send openid")]

    assert [403] * 3 == [answer.status_code for answer in answers]


def test_a_token_for_a_client_that_is_not_ours_or_is_shut_out_is_invalid(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    minted(fixtures, settings)

    with open_door(by_keys(settings, real)) as http:
        assert "invalid_token" == ask(http, token(fixtures, client_id="nobody")).json()["error"]
        assert 200 == ask(http, token(fixtures)).status_code
        with transaction(fixtures.database) as db:
            credentials.revoke_all(db, fixtures.client_id)
        wait_until(lambda: ask(http, token(fixtures)).status_code == 401, within_s=2)


def test_a_token_opens_no_client_by_its_name_or_by_an_id_that_is_not_linked(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    not_linked = fixtures.client()
    minted(fixtures, settings, client_id=not_linked)
    with transaction(fixtures.database) as db:
        clients.put(db, fixtures.client_id, "Demo platform", scopes=tuple(Scope))

    with open_door(by_keys(settings, real)) as http:
        answers = [ask(http, token(fixtures, client_id=name)) for name in ("Demo platform", str(not_linked))]

    assert [(401, "invalid_token")] * 2 == [(answer.status_code, answer.json()["error"]) for answer in answers]


def test_two_programs_of_one_issuer_have_each_what_their_client_here_has(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    with transaction(fixtures.database) as db:
        clients.put(db, fixtures.client_id, "reader", scopes=[Scope.MESSAGE_READ])
    link(fixtures, "0oa1reader")
    link(fixtures, "0oa1sender", fixtures.client(scopes=[Scope.MESSAGE_SEND]))
    okta = by_keys(settings, real).model_copy(
        update={"issuer_token_type": "JWT", "issuer_client_claim": "cid", "issuer_scope_claim": "scp"}
    )
    shape = {"header": {"typ": None}, "client_id": None, "scope": None, "scp": ["message.read", "account.write"]}

    with open_door(okta) as http:
        answers = [ask(http, token(fixtures, cid=name, **shape)) for name in ("0oa1reader", "0oa1sender", "0oa1other")]
        id_token = ask(http, token(fixtures, **{**shape, "scp": None}, aud="0oa1reader", nonce="n", cid=None))

    assert [200, 403, 401] == [answer.status_code for answer in answers]
    assert (401, "invalid_token") == (id_token.status_code, id_token.json()["error"])


def test_an_expired_token_says_so_and_a_forged_one_does_not(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    past = token(fixtures, exp=int(time()) - 1)

    with open_door(by_keys(settings, real)) as http:
        answers = [ask(http, past), ask(http, past[:-8] + "AAAAAAAA"), ask(http, "garbage")]

    assert ["expired_token", "invalid_token", "invalid_token"] == [answer.json()["error"] for answer in answers]
    assert [401] * 3 == [answer.status_code for answer in answers]


@pytest.mark.parametrize("status", [500, 302, 404])
def test_an_issuer_that_does_not_answer_well_is_a_503_and_is_not_followed_elsewhere(
    settings: Settings, fixtures: Fixtures, real: RealIssuer, status: int
) -> None:
    real.status = status

    with open_door(by_keys(settings, real)) as http:
        answer = ask(http, token(fixtures))

    assert (503, "5") == (answer.status_code, answer.headers["Retry-After"])
    assert ["/keys"] == [path for path, _, _ in real.asked]


def test_an_issuer_that_is_away_is_a_503_and_keys_go_on(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    with open_door(trusting(settings, issuer_jwks_url="http://127.0.0.1:1/keys")) as http:
        away = ask(http, token(fixtures))
        key = minted(fixtures, settings).text.get_secret_value()
        by_key = http.get("/messages", headers={"X-API-Key": key})

    assert [503, 200] == [away.status_code, by_key.status_code]
    assert [] == real.asked


def test_an_issuer_is_asked_about_a_token_once_with_our_credentials(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    now = int(time())
    real.answer = issuer.claims(
        active=True, client_id=str(fixtures.client_id), iat=now, exp=now + 60, scope="message.read"
    )

    with open_door(by_asking(settings, real)) as http:
        answers = [ask(http, "opaque+/=") for _ in range(3)]

    assert [200] * 3 == [answer.status_code for answer in answers]
    # "post+room" and "a%3Ab": RFC 6749 2.3.1 form-encodes both before RFC 7617 makes Basic credentials of them.
    asked = ("/introspect", "Basic cG9zdCtyb29tOmElM0Fi", {"token": ["opaque+/="], "token_type_hint": ["access_token"]})
    assert [asked] == real.asked


def test_an_issuer_that_says_no_is_a_401_and_one_that_refuses_us_a_503(
    settings: Settings, fixtures: Fixtures, real: RealIssuer
) -> None:
    del fixtures
    real.answer = {"active": False}

    with open_door(by_asking(settings, real)) as http:
        said_no = ask(http, "opaque")
        real.status = 401
        refused_us = ask(http, "opaque")

    assert [401, 503] == [said_no.status_code, refused_us.status_code]
