"""Send the messages of the rehearsal: scenes that the rules hold, so that the desk has cases at the first look."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import cycle, islice
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from delivery.records.database import Database, Transaction, transaction
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.rulebook.scenes import Scene, read_scenes
from delivery.rules.rehearsal import REHEARSAL, REHEARSAL_CLIENTS, REHEARSAL_WATCHED
from delivery.transactional_send import send_in
from delivery.vocabulary import Trust

_FILE = files("worker.embedded") / "rehearsal_cases.jsonl"
_DOMAIN = "rehearsal.invalid"
_CLIENTS = {Trust.NORMAL: REHEARSAL, Trust.WATCHED: REHEARSAL_WATCHED}
# Members who write to each other nowhere else. They have in-app inboxes, so no mail leaves when a case is approved.
_MEMBERS = (
    "Amara Nwosu",
    "Benedikt Lauer",
    "Chiara Fontana",
    "Dorota Zielińska",
    "Emre Aksoy",
    "Fumiko Arai",
    "Gaëlle Perrin",
    "Héctor Salgado",
    "Iryna Kovalenko",
    "João Meireles",
    "Katrijn de Wit",
    "Layla Haddad",
)


def read_rehearsal() -> list[Scene]:
    """Return the scenes of the rehearsal, in the order in which they are sent."""
    return list(read_scenes(_FILE.read_bytes().splitlines(keepends=True)))


def seed_rehearsal(database: Database) -> None:
    """Send all messages of the rehearsal, unless that was done before. The workers then judge them as any other."""
    with transaction(database) as db:
        if clients.exists(db, REHEARSAL):
            return
        _put_clients(db)
        members = _put_members(db)
        turn = cycle(members)
        for scene in read_rehearsal():
            recipients = list(islice(turn, len(scene.recipients)))
            send_in(db, dict(_fields(scene, recipients)), client_id=_CLIENTS[Trust(scene.client.trust)])


def _put_clients(db: Transaction) -> None:
    for client_id, name in zip(REHEARSAL_CLIENTS, ("Rehearsal", "Rehearsal, watched"), strict=True):
        clients.put(db, client_id, name, scopes=())
    clients.put_trust(db, REHEARSAL_WATCHED, Trust.WATCHED)


def _put_members(db: Transaction) -> list[UUID]:
    members = [
        AccountFacts(uuid5(REHEARSAL, name), name, f"member-{number:02}@{_DOMAIN}")
        for number, name in enumerate(_MEMBERS, start=1)
    ]
    accounts.put(db, members)
    return [each.account_id for each in members]


def _fields(scene: Scene, recipients: list[UUID]) -> Iterator[tuple[str, object]]:
    """Yield the fields of the request that sends this scene."""
    yield "message_uuid", str(uuid7())
    yield "recipient_uuids", [str(each) for each in recipients]
    yield "sender_name", scene.sender.name
    if scene.sender.email:
        yield "sender_email", scene.sender.email
    yield "subject", scene.subject
    yield "body", scene.body
    yield "type", scene.type
