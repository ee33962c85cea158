"""Direct sends as other programs make them: fields, tokens, envelopes."""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from delivery.records.database import transaction
from delivery.records.pipeline import refused_sends
from delivery.records.pipeline.refused_sends import RefusedView
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tasks.broker.direct_queue import DirectSendQueue
from tasks.context import StepContext
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.seed import add_credential
from worker.runtime.direct_reader import DirectSendReader

AN_HOUR = timedelta(hours=1)


def credential(
    fixtures: Fixtures,
    pepper: SecretStr,
    kind: CredentialKind = CredentialKind.ACCESS_TOKEN,
    *,
    client_id: UUID | None = None,
    scopes: Sequence[Scope] = (Scope.MESSAGE_SEND,),
    lifetime: timedelta = AN_HOUR,
) -> str:
    """Store a credential of a client, an access token by default, and return the text that the client sends."""
    client_id = client_id or fixtures.client_id
    fresh = add_credential(fixtures.database, client_id, pepper, kind, scopes=scopes, lifetime=lifetime)
    # Only clients made before signatures existed may send by token.
    fixtures.run_sql("UPDATE client SET may_send_by_token = true WHERE id = :id", id=client_id)
    return fresh.text.get_secret_value()


def signing_key(fixtures: Fixtures, settings: Settings, client_id: UUID | None = None, **chosen: Any) -> str:
    """Store a signing key of a client and return its text; `chosen` are its scopes and its lifetime."""
    assert settings.sealing_key is not None
    kind, client_id = CredentialKind.SIGNING_KEY, client_id or fixtures.client_id
    chosen = {"sealing_key": settings.sealing_key, **chosen}
    return add_credential(fixtures.database, client_id, settings.pepper, kind, **chosen).text.get_secret_value()


def fields(*account_ids: UUID, **chosen: Any) -> dict[str, Any]:
    """Make the fields of a direct send to these accounts, under a fresh id."""
    recipients = [str(each) for each in account_ids]
    return build.fields(**{"message_uuid": str(uuid4()), "recipient_uuids": recipients, **chosen})


def envelope(keywords: object, /, *, positional: object = None, **outside: Any) -> bytes:
    """Make a protocol 2 envelope by hand, with these keyword arguments."""
    return sealed(json.dumps([positional or [], keywords, {}]).encode(), **outside)


def sealed(content: bytes, /, **outside: Any) -> bytes:
    """Put any body into an envelope, in which `outside` replaces the values of a valid one."""
    valid = {
        "body": b64encode(content).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": "messages.accept", "id": str(uuid4()), "argsrepr": "()"},
        "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4()), "delivery_info": {}, "priority": 0},
    }
    return json.dumps({**valid, **outside}).encode()


@contextmanager
def reading(context: StepContext, queue: DirectSendQueue | None = None) -> Iterator[None]:
    """Run a reader of direct sends until the block ends."""
    reader = DirectSendReader(context, queue or DirectSendQueue(context.settings))
    reader.start()
    yield
    reader.stop()


def refusals(fixtures: Fixtures) -> list[RefusedView]:
    """Return the refused sends, newest first."""
    with transaction(fixtures.database) as db:
        return refused_sends.latest(db, 1000)


def codes(fixtures: Fixtures) -> list[list[str]]:
    """Return the codes of each refused send, oldest first."""
    return [[fault["code"] for fault in each.faults] for each in reversed(refusals(fixtures))]
