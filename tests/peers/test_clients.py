"""Programs that others wrote for Node.js: celery-node sends to our queue, and oidc-provider issues tokens for us."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from delivery.records.database import transaction
from delivery.records.identities import issuer_links
from delivery.settings import Settings
from tests.peers.brokers import open_redis, url_of, url_without_user
from tests.support.direct_sends import fields, signing_key
from tests.support.fixtures import Fixtures
from tests.support.generated_clients import CELERY_NODE, OIDC_PROVIDER, install_from_npm, run
from tests.support.ports import free_port, is_page_served
from tests.support.process_group import API, DECIDE, ProcessGroup, open_process_group
from tests.support.processes import running
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("node"), pytest.mark.timeout(300)]
_PROGRAMS = Path(__file__).parent.parent / "programs"
_ARRIVED_S = 30.0
# IssuerKeys fetches at most every 30 s, so that is how long a new key may wait.
_NEW_KEY_S = 60.0
_HERE, _OPAQUE = "https://postroom.example", "https://postroom.example/opaque"


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages and the programs of these tests."""
    folder = tmp_path_factory.mktemp("node")
    install_from_npm(folder, *CELERY_NODE, *OIDC_PROVIDER)
    for name in ("by_celery_node.js", "oidc_issuer.js"):
        shutil.copy(_PROGRAMS / name, folder)
    return folder


def node() -> Path:
    """Return the program of Node.js; `install_from_npm` has skipped the test where there is none."""
    return Path(shutil.which("node") or "node")


def test_celery_node_sends_through_redis_with_a_password(
    node_folder: Path, fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    account = fixtures.account()
    sends = [fields(account, sender_name="Zoë", body="naïve\u2028line 🌍\n" * 20) for _ in range(20)]
    key = signing_key(fixtures, base_settings)
    with (
        open_redis(open_folder / "celery-node") as server,
        open_process_group(tmp_path, base_settings, broker_url=SecretStr(url_of(server.port))) as group,
    ):
        # Its Redis client drops the user of an address.
        command = [node().name, "by_celery_node.js", url_without_user(server.port), key]
        run(node().parent, command, folder=node_folder, stdin=json.dumps([*sends, sends[0]]))
        group.start(DECIDE)
        wait_until(lambda: len(fixtures.inbox(account)) == len(sends), within_s=_ARRIVED_S)

    assert {each["message_uuid"] for each in sends} == {str(each) for each in fixtures.inbox(account)}
    assert 0 == fixtures.count("refused_send")


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """A running oidc-provider."""

    port: int

    @property
    def url(self) -> str:
        """Its `iss`."""
        return f"http://127.0.0.1:{self.port}"

    def discover(self) -> dict[str, Any]:
        """Read where it has its endpoints."""
        return dict(httpx2.get(f"{self.url}/.well-known/openid-configuration").json())

    def token(self, client: str = "shop-backend", *, audience: str = _HERE, scope: str = "message.send") -> str:
        """Get an access token by client credentials."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": audience}
        answer = httpx2.post(self.discover()["token_endpoint"], data=form, auth=(client, f"the secret of {client}"))
        assert 200 == answer.status_code, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def open_issuer(
    node_folder: Path, *, port: int = 0, key_id: str = "first", lifetime_s: int = 600
) -> Iterator[OidcProvider]:
    """Run oidc-provider until the block ends. Each time it has another signing key."""
    issuer = OidcProvider(port or free_port())
    command = [str(node()), "oidc_issuer.js", str(issuer.port), key_id, str(lifetime_s)]
    with running(command, lambda: is_page_served(issuer.port, "/jwks"), cwd=node_folder, log=node_folder / "log"):
        yield issuer


@contextmanager
def open_trusting_api(
    folder: Path, settings: Settings, fixtures: Fixtures, issuer: OidcProvider, **chosen: Any
) -> Iterator[ProcessGroup]:
    """Run an API that trusts this issuer as docs/issuers.md says, with its program linked to our client."""
    with transaction(fixtures.database) as db:
        issuer_links.link(db, fixtures.client_id, "shop-backend")
    facts = {"issuer": issuer.url, "issuer_audience": _HERE, **chosen}
    with open_process_group(folder, settings, **facts) as group:
        group.start(API)
        group.await_ready(fixtures.database)
        yield group


def send(group: ProcessGroup, fixtures: Fixtures, token: str) -> tuple[int, str]:
    """Send a message with this token; return the status code and the code of the error, if there is one."""
    answer = group.post(fixtures.account(), headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("error", "")


def test_tokens_of_oidc_provider_are_checked_by_its_published_keys(
    node_folder: Path, fixtures: Fixtures, base_settings: Settings, tmp_path: Path
) -> None:
    with open_issuer(node_folder) as issuer:
        jwks_url = issuer.discover()["jwks_uri"]
        tokens = [
            issuer.token(),
            issuer.token(scope="message.read"),
            issuer.token("stranger"),
            issuer.token(audience="https://elsewhere.example"),
            issuer.token()[:-8] + "AAAAAAAA",
        ]
        with open_trusting_api(tmp_path, base_settings, fixtures, issuer, issuer_jwks_url=jwks_url) as group:
            answers = [send(group, fixtures, token) for token in tokens]

    refused = (401, "invalid_token")
    assert [(201, ""), (403, "insufficient_scope"), refused, refused, refused] == answers


def test_a_new_signing_key_of_oidc_provider_is_found_and_the_old_one_refused(
    node_folder: Path, fixtures: Fixtures, base_settings: Settings, tmp_path: Path
) -> None:
    issuer = OidcProvider(free_port())
    jwks_url = f"{issuer.url}/jwks"
    with open_trusting_api(tmp_path, base_settings, fixtures, issuer, issuer_jwks_url=jwks_url) as group:
        with open_issuer(node_folder, port=issuer.port):
            old = issuer.token()
            before = send(group, fixtures, old)
        with open_issuer(node_folder, port=issuer.port, key_id="second"):
            new = issuer.token()
            wait_until(lambda: send(group, fixtures, new) == (201, ""), within_s=_NEW_KEY_S)
            after = send(group, fixtures, old)

    assert [(201, ""), (401, "invalid_token")] == [before, after]


def test_a_token_of_oidc_provider_is_refused_when_its_time_is_over(
    node_folder: Path, fixtures: Fixtures, base_settings: Settings, tmp_path: Path
) -> None:
    with open_issuer(node_folder, lifetime_s=1) as issuer:
        jwks_url, token = issuer.discover()["jwks_uri"], issuer.token()
        with open_trusting_api(tmp_path, base_settings, fixtures, issuer, issuer_jwks_url=jwks_url) as group:
            wait_until(lambda: send(group, fixtures, token) == (401, "expired_token"), within_s=_ARRIVED_S)


def test_opaque_tokens_of_oidc_provider_are_checked_by_introspection(
    node_folder: Path, fixtures: Fixtures, base_settings: Settings, tmp_path: Path
) -> None:
    with open_issuer(node_folder) as issuer:
        asking = {
            "issuer_introspection_url": issuer.discover()["introspection_endpoint"],
            "issuer_introspection_client_id": "postroom",
            "issuer_introspection_client_secret": SecretStr("the secret of postroom"),
            "issuer_audience": _OPAQUE,
        }
        tokens = [issuer.token(audience=_OPAQUE), issuer.token("stranger", audience=_OPAQUE), "made-up"]
        with open_trusting_api(tmp_path, base_settings, fixtures, issuer, **asking) as group:
            answers = [send(group, fixtures, token) for token in tokens]

    assert [(201, ""), (401, "invalid_token"), (401, "invalid_token")] == answers
