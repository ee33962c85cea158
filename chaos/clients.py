"""The clients of a trial: what they send when, and the accounts that they write to."""

import http.client
import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from time import monotonic, time
from typing import Any, Protocol
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from chaos.cluster import HELD_PHRASE
from chaos.history import ClientAnswer, History
from chaos.schedule import Ending, Planned, Pool
from delivery.records.database import open_database
from delivery.records.identities.accounts import AccountFacts
from delivery.settings import Settings
from delivery.signatures import sign
from delivery.vocabulary import Channel, CredentialKind, QueueName, StepName
from tasks.app import celery_url
from tests.support.seed import add_accounts, add_client, add_credential

CLIENT_ID = uuid5(NAMESPACE_URL, "postroom:chaos:client")
_IN_A_POOL = 25
_AT_ONCE = 16
_ANSWER_TIMEOUT_S = 6.0
_REPEAT_FOR_S = 45.0
_REPEAT_EVERY_S = 0.4
_HOSTS = {Pool.REFUSING: "refusing.example", Pool.BUSY: "busy.example"}


def account_id(pool: Pool, number: int) -> UUID:
    """Return the id of an account of a trial."""
    return uuid5(NAMESPACE_URL, f"postroom:chaos:{pool}:{number}")


def address(pool: Pool, number: int) -> str:
    """Return the address of an account of a trial."""
    return f"{pool}-{number:02}@{_HOSTS.get(pool, 'good.example')}"


def subject(run: str, number: int) -> str:
    """Return the subject of a message, by which the checker finds it in the database and among the mails."""
    return f"{run} {number}"


class Sendable(Protocol):
    """What clients know of a Postroom: where its API is, and the settings that reach its servers directly."""

    @property
    def address(self) -> str:
        """The address of the API."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def direct_settings(self) -> Settings:
        """Settings for what seeds the database or pushes into the broker."""


def seed(cluster: Sendable) -> dict[CredentialKind, str]:
    """Store the client and the accounts; return the credentials of the client."""
    database = open_database(cluster.direct_settings, connections=1)
    facts = [
        AccountFacts(
            account_id=account_id(pool, number),
            name=f"{pool} {number}",
            email=address(pool, number),
            channel=Channel.INBOX if pool in {Pool.INBOX, Pool.CLOSED} else Channel.EMAIL,
            is_closed=pool is Pool.CLOSED,
        )
        for pool in Pool
        for number in range(_IN_A_POOL)
    ]
    add_client(database, CLIENT_ID)
    add_accounts(database, facts)
    chosen = {CredentialKind.API_KEY: None, CredentialKind.SIGNING_KEY: cluster.direct_settings.sealing_key}
    fresh = [
        add_credential(database, CLIENT_ID, cluster.direct_settings.pepper, kind, sealing_key=sealing_key)
        for kind, sealing_key in chosen.items()
    ]
    database.dispose()
    return {each.kind: each.text.get_secret_value() for each in fresh}


class Clients:
    """Sends the messages of a schedule, each at its time. With a key a client repeats until its request is settled."""

    def __init__(self, cluster: Sendable, credentials: dict[CredentialKind, str], run: str, history: History) -> None:
        self._cluster = cluster
        self._credentials = credentials
        self._run = run
        self._history = history
        self._began_at = monotonic()
        self._pause = threading.Event()
        self._celery = Celery(broker=celery_url(cluster.direct_settings), set_as_current=False)

    def send_all(self, messages: Iterable[Planned]) -> None:
        """Send them, and return when every client is answered or has given up."""
        with ThreadPoolExecutor(_AT_ONCE, "client") as pool:
            for _ in pool.map(self._send, sorted(messages, key=lambda planned: planned.at_s)):
                pass

    def stop(self) -> None:
        """Send nothing more."""
        self._pause.set()

    def _send(self, planned: Planned) -> None:
        if self._pause.wait(max(0.0, self._began_at + planned.at_s - monotonic())):
            return
        if planned.ending is Ending.DIRECT:
            self._push(planned)
            return
        until = monotonic() + _REPEAT_FOR_S
        while not self._post(planned) and planned.is_keyed and monotonic() < until:
            if self._pause.wait(_REPEAT_EVERY_S):
                return

    def _post(self, planned: Planned) -> bool:
        """Send once; return whether the answer settles the request."""
        headers = {
            "Content-Type": "application/json",
            "X-API-Key": self._credentials[CredentialKind.API_KEY],
            "Prefer": f"wait={planned.wait_s}",
        }
        if planned.is_keyed:
            headers["Idempotency-Key"] = f"{self._run}-{planned.number}"
        answer = self._ask(planned.number, json.dumps(self._fields(planned)), headers)
        self._history.note_answer(answer)
        unsettled = {None, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
        return answer.status not in unsettled and (answer.status or 0) < 500

    def _ask(self, number: int, body: str, headers: dict[str, str]) -> ClientAnswer:
        asked_at = time()
        connection = http.client.HTTPConnection(self._cluster.address, self._cluster.port, timeout=_ANSWER_TIMEOUT_S)
        try:
            connection.request("POST", "/messages", body, headers)
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return ClientAnswer(number, None, None, asked_at, time() - asked_at)
        finally:
            connection.close()
        return ClientAnswer(
            number, response.status, content.get("meta", {}).get("message_uuid"), asked_at, time() - asked_at
        )

    def _push(self, planned: Planned) -> None:
        message_id = str(uuid4())
        fields = {**self._fields(planned), "message_uuid": message_id}
        signed = sign(fields, self._credentials[CredentialKind.SIGNING_KEY])
        with suppress(KombuError, RedisError, OSError):
            self._celery.send_task(StepName.ACCEPT, kwargs=signed, queue=QueueName.ACCEPT, retry=False)
            self._history.note_direct(planned.number, message_id)

    def _fields(self, planned: Planned) -> dict[str, Any]:
        recipients = [str(account_id(pool, number)) for pool, number in planned.recipients]
        if planned.ending is Ending.FAULTY:
            recipients.append(str(uuid4()))
        is_held = planned.ending in {Ending.HELD, Ending.APPROVED, Ending.REJECTED}
        return {
            "recipient_uuids": recipients[-25:],
            "sender_name": "A trial",
            "subject": subject(self._run, planned.number),
            "body": f"Please send a {HELD_PHRASE}." if is_held else "Are you free next week?",
        }
