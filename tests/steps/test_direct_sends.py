"""Direct sends: by programs that import nothing of ours, whatever they send, however often it arrives."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from delivery.crash_points import CrashPoint, arm
from delivery.records.database import transaction
from delivery.records.identities import credentials
from delivery.records.pipeline import refused_sends
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, CredentialKind, QueueName, Scope, State, StepName
from tasks.app import celery_url
from tasks.broker.direct_queue import LISTS
from tasks.context import StepContext
from tasks.steps.accept_direct import accept_or_refuse
from tests.support.direct_sends import codes, credential, envelope, fields, reading, refusals
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell
from tests.support.waiting import wait_until
from tests.unit.test_celery_task import NOT_READABLE

pytestmark = pytest.mark.usefixtures("broker")
_PROGRAMS = Path(__file__).parents[1] / "programs"


@pytest.fixture
def deal(context: StepContext, broker: Redis) -> Callable[..., None]:
    """Give what pushes envelopes and waits until the reader has dealt with them."""

    def push(*envelopes: bytes, into: str = LISTS[0]) -> None:
        for each in envelopes:
            broker.lpush(into, each)
        with reading(context):
            wait_until(lambda: not any(broker.llen(name) for name in LISTS))

    return push


@pytest.mark.parametrize("program", ["by_kombu", "by_celery", "by_hand"])
def test_a_program_that_imports_nothing_of_ours_sends(
    program: str, fixtures: Fixtures, token: str, context: StepContext, broker: Redis
) -> None:
    sent = fields(fixtures.account(), token=token, subject="Grüße", uuid="ignored", extra={"a": [1.5, None]})
    url = context.settings.broker_url.get_secret_value() if program == "by_hand" else celery_url(context.settings)

    run = [sys.executable, "-I", str(_PROGRAMS / f"{program}.py"), url]
    subprocess.run(run, input=json.dumps(sent).encode(), check=True, timeout=30)
    with reading(context):
        wait_until(lambda: fixtures.count("message") and not any(broker.llen(name) for name in LISTS))

    message_id = UUID(sent["message_uuid"])
    assert ("Grüße", fixtures.client_id) == (fixtures.view(message_id).subject, fixtures.view(message_id).client_id)
    assert ([State.ACCEPTED], []) == (fixtures.states(message_id), refusals(fixtures))


def test_a_stored_send_rings_for_its_decision(
    fixtures: Fixtures, token: str, deal: Callable[..., None], bells: RecordingDoorbell
) -> None:
    sent = fields(fixtures.account(), token=token)

    deal(envelope(sent))

    (bell,) = bells.rung
    assert (StepName.DECIDE, QueueName.DECIDE, (UUID(sent["message_uuid"]),)) == (bell.step, bell.queue_name, bell.ids)


@pytest.mark.parametrize("is_same_envelope", [True, False])
def test_a_send_that_arrives_ten_times_is_one_message(
    fixtures: Fixtures, token: str, deal: Callable[..., None], bells: RecordingDoorbell, *, is_same_envelope: bool
) -> None:
    sent = fields(*fixtures.accounts(3), token=token)
    first = envelope(sent)

    deal(*[first if is_same_envelope else envelope(sent) for _ in range(10)])
    deal(envelope({**sent, "recipient_uuids": sent["recipient_uuids"][::-1], "type": "other"}))

    assert (1, 3, 0, 1) == (
        fixtures.count("message"),
        fixtures.count("recipient"),
        fixtures.count("refused_send"),
        len(bells.rung),
    )


def test_many_sends_share_few_transactions(fixtures: Fixtures, token: str, deal: Callable[..., None]) -> None:
    account_id = fixtures.account()

    deal(*[envelope(fields(account_id, token=token)) for _ in range(200)])

    (row,) = fixtures.ask("SELECT count(*) AS messages, count(DISTINCT xmin::text) AS commits FROM message")
    assert 200 == row.messages
    assert row.commits <= 4


REFUSED_TOKENS: dict[str, tuple[Callable[[Fixtures, SecretStr], object], str, bool]] = {
    "none": (lambda _b, _p: None, "required", False),
    "a number": (lambda _b, _p: 7, "invalid_token", False),
    "a list": (lambda _b, _p: ["at"], "invalid_token", False),
    "empty": (lambda _b, _p: "", "invalid_token", False),
    "unknown": (lambda _b, _p: f"at_{'0' * 16}_{'A' * 43}", "invalid_token", False),
    "forged": (lambda fixtures, pepper: credential(fixtures, pepper)[:-3] + "AAA", "invalid_token", False),
    "an API key": (
        lambda fixtures, pepper: credential(fixtures, pepper, CredentialKind.API_KEY),
        "invalid_token",
        False,
    ),
    "a secret": (
        lambda fixtures, pepper: credential(fixtures, pepper, CredentialKind.CLIENT_SECRET),
        "invalid_token",
        False,
    ),
    "a line behind it": (lambda fixtures, pepper: credential(fixtures, pepper) + "\n", "invalid_token", False),
    "expired": (
        lambda fixtures, pepper: credential(fixtures, pepper, lifetime=timedelta(seconds=-1)),
        "expired_token",
        True,
    ),
    "of another scope": (
        lambda fixtures, pepper: credential(fixtures, pepper, scopes=[Scope.MESSAGE_READ]),
        "insufficient_scope",
        True,
    ),
    "of a client that may not": (
        lambda fixtures, pepper: credential(fixtures, pepper, client_id=fixtures.client(scopes=[Scope.MESSAGE_READ])),
        "insufficient_scope",
        True,
    ),
}


@pytest.mark.parametrize("case", REFUSED_TOKENS)
def test_without_a_good_token_nothing_else_is_looked_at(
    case: str, fixtures: Fixtures, settings: Settings, deal: Callable[..., None]
) -> None:
    show, code, is_genuine = REFUSED_TOKENS[case]
    sent = fields(uuid4(), token=show(fixtures, settings.pepper), subject=None)

    deal(envelope(sent))

    (refusal,) = refusals(fixtures)
    assert [("token", code)] == [(fault["field"], fault["code"]) for fault in refusal.faults]
    assert (UUID(sent["message_uuid"]), is_genuine) == (refusal.message_id, refusal.client_id is not None)


def test_a_revoked_token_is_none(fixtures: Fixtures, token: str, deal: Callable[..., None]) -> None:
    with transaction(fixtures.database) as db:
        credentials.revoke_all(db, fixtures.client_id)

    deal(envelope(fields(fixtures.account(), token=token)))

    assert ([["invalid_token"]], 0) == (codes(fixtures), fixtures.count("message"))


def test_an_id_is_used_once_and_a_refusal_tells_nothing_of_what_it_was_used_for(
    fixtures: Fixtures, settings: Settings, token: str, deal: Callable[..., None]
) -> None:
    account_id, other_id = fixtures.account(), fixtures.client()
    others = credential(fixtures, settings.pepper, client_id=other_id)
    sent = fields(account_id, token=token, subject="first")
    deal(envelope(sent))

    deal(envelope({**sent, "subject": "second"}), envelope({**sent, "token": others}))

    assert ("first", 1) == (fixtures.view(UUID(sent["message_uuid"])).subject, fixtures.count("message"))
    theirs, ours = sorted(refusals(fixtures), key=lambda each: each.client_id == fixtures.client_id)
    assert (other_id, fixtures.client_id, theirs.faults) == (theirs.client_id, ours.client_id, ours.faults)
    assert [["message_uuid_reused"]] * 2 == codes(fixtures)


def test_two_contents_under_one_fresh_id_are_one_message_and_one_refusal(
    fixtures: Fixtures, token: str, deal: Callable[..., None]
) -> None:
    sent = fields(fixtures.account(), token=token)

    deal(envelope(sent), envelope({**sent, "subject": "another"}))

    assert (1, [["message_uuid_reused"]]) == (fixtures.count("message"), codes(fixtures))


def test_unknown_recipients_are_named_by_their_places_and_nothing_is_stored(
    fixtures: Fixtures, token: str, deal: Callable[..., None]
) -> None:
    known, closed = fixtures.account(), fixtures.account(status=AccountStatus.CLOSED)

    deal(envelope(fields(known, closed, known, uuid4(), token=token)))

    (refusal,) = refusals(fixtures)
    assert ["recipient_uuids[1]", "recipient_uuids[3]"] == [fault["field"] for fault in refusal.faults]
    assert [["unknown_recipient", "unknown_recipient"], 0] == [codes(fixtures)[0], fixtures.count("message")]


def test_a_refused_id_may_be_used_for_the_mended_message(
    fixtures: Fixtures, token: str, deal: Callable[..., None]
) -> None:
    sent = fields(fixtures.account(), token=token)
    deal(envelope({**sent, "body": ""}))

    deal(envelope(sent))

    assert ([["blank"]], 1) == (codes(fixtures), fixtures.count("message"))


def test_whatever_is_pushed_is_refused_alone_and_the_rest_gets_through(
    fixtures: Fixtures, token: str, deal: Callable[..., None]
) -> None:
    account_id = fixtures.account()
    hostile = {
        "a NUL": fields(account_id, token=token, body="\x00"),
        "a NUL in the token": fields(account_id, token="\x00"),
        "a huge list": fields(*[account_id] * 20_000, token=token),
        "numbers": fields(account_id, token=token, body=10**300, subject=1.5, sender_name=True),
        "objects": fields(account_id, token=token, sender_email={}, type=[]),
        "no fields": {},
    }
    good = [envelope(fields(account_id, token=token)) for _ in range(3)]

    deal(good[0], *map(envelope, hostile.values()), good[1], *(raw for raw, _ in NOT_READABLE.values()), good[2])

    assert 3 == fixtures.count("message")
    assert len(hostile) + len(NOT_READABLE) == len(refusals(fixtures))


def test_nothing_of_what_was_sent_is_kept_of_a_refused_send(fixtures: Fixtures, deal: Callable[..., None]) -> None:
    secret = "ada@example.com says Guten Tag"

    deal(envelope(fields(uuid4(), token=secret, body=secret)), envelope({secret: secret}), secret.encode())

    kept = " ".join(str(tuple(row)) for row in fixtures.ask("SELECT * FROM refused_send"))
    assert 3 == len(refusals(fixtures))
    assert not [word for word in secret.split() if word in kept]


def test_a_sender_finds_its_own_refusal_and_nobody_elses(
    fixtures: Fixtures, token: str, deal: Callable[..., None]
) -> None:
    sent = fields(fixtures.account(), token=token, subject="")
    deal(envelope(sent))

    with transaction(fixtures.database) as db:
        found = refused_sends.find(db, UUID(sent["message_uuid"]), fixtures.client_id)
        strange = refused_sends.find(db, UUID(sent["message_uuid"]), fixtures.client())

    assert found is not None
    assert (["blank"], None) == ([fault["code"] for fault in found.faults], strange)


def test_a_send_with_a_priority_is_read_too(fixtures: Fixtures, token: str, deal: Callable[..., None]) -> None:
    for name in LISTS:
        deal(envelope(fields(fixtures.account(), token=token)), into=name)

    assert len(LISTS) == fixtures.count("message")


@pytest.fixture
def poison(fixtures: Fixtures) -> Iterator[str]:
    """Give a subject that the database itself breaks on, as it would on a defect of ours."""
    fixtures.ask("""
        CREATE FUNCTION break_on_poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.subject = 'poison' THEN RAISE 'a defect'; END IF; RETURN NEW; END $$
    """)
    fixtures.ask("CREATE TRIGGER poison BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION break_on_poison()")
    yield "poison"
    fixtures.ask("DROP FUNCTION break_on_poison CASCADE")


@pytest.mark.parametrize("point", [CrashPoint.DIRECT_SEEN, CrashPoint.DIRECT_WRITTEN, CrashPoint.DIRECT_COMMITTED])
def test_a_send_whose_connection_was_cut_is_taken_again_and_not_refused(
    fixtures: Fixtures, token: str, context: StepContext, point: CrashPoint, tmp_path: Path
) -> None:
    envelopes = [envelope(fields(fixtures.account(), token=token))]
    arm(f"{point}:1:cut:{tmp_path / 'mark'}")

    with pytest.raises(ConnectionResetError):
        accept_or_refuse(context, envelopes)
    arm("")
    done = accept_or_refuse(context, envelopes)

    assert (envelopes, 1, []) == (done, fixtures.count("message"), codes(fixtures))


def test_a_send_that_breaks_the_step_is_refused_and_the_rest_gets_through(
    fixtures: Fixtures, token: str, context: StepContext, poison: str
) -> None:
    sends = [fields(fixtures.account(), token=token, subject=subject) for subject in ("good", poison, "as good")]
    envelopes = [envelope(each) for each in sends]

    done = accept_or_refuse(context, envelopes)

    assert (envelopes, 2, [["internal_error"]]) == (done, fixtures.count("message"), codes(fixtures))
    assert [UUID(sends[1]["message_uuid"])] == [each.message_id for each in refusals(fixtures)]
