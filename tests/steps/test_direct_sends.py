"""Direct sends from programs without our code are stored once or refused, whatever they contain."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
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
from tests.support.direct_sends import codes, credential, envelope, fields, reading, refusals, signing_key
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell
from tests.support.waiting import wait_until
from tests.unit.test_celery_task import NOT_READABLE

pytestmark = pytest.mark.usefixtures("broker")
Push = Callable[..., None]
Issue = Callable[..., str]
_PROGRAMS = Path(__file__).parents[1] / "programs"


@pytest.fixture
def push(context: StepContext, broker: Redis) -> Push:
    """Return a function that pushes Celery tasks and waits until the reader has stored or refused each of them."""

    def push_and_read(*envelopes: bytes, into: str = LISTS[0]) -> None:
        for each in envelopes:
            broker.lpush(into, each)
        with reading(context):
            wait_until(lambda: not any(broker.llen(name) for name in LISTS))

    return push_and_read


@pytest.mark.parametrize("program", ["by_kombu", "by_celery", "by_hand"])
def test_a_program_that_imports_none_of_our_code_can_send(
    program: str, fixtures: Fixtures, context: StepContext, broker: Redis
) -> None:
    sent = fields(fixtures.account(), subject="Grüße", uuid="ignored", extra=["a", ""])
    key = signing_key(fixtures, context.settings)
    url = context.settings.broker_url.get_secret_value() if program == "by_hand" else celery_url(context.settings)

    command = [sys.executable, "-I", str(_PROGRAMS / f"{program}.py"), url, key]
    subprocess.run(command, input=json.dumps(sent).encode(), check=True, timeout=30)
    with reading(context):
        wait_until(lambda: fixtures.count("message") and not any(broker.llen(name) for name in LISTS))

    message_id = UUID(sent["message_uuid"])
    assert ("Grüße", fixtures.client_id) == (fixtures.view(message_id).subject, fixtures.view(message_id).client_id)
    assert ([State.ACCEPTED], []) == (fixtures.states(message_id), refusals(fixtures))


def test_a_stored_send_rings_the_bell_for_its_decision(
    fixtures: Fixtures, token: str, push: Push, bells: RecordingDoorbell
) -> None:
    sent = fields(fixtures.account(), token=token)

    push(envelope(sent))

    (bell,) = bells.rung
    assert (StepName.DECIDE, QueueName.DECIDE, (UUID(sent["message_uuid"]),)) == (bell.step, bell.queue_name, bell.ids)


@pytest.mark.parametrize("is_same_envelope", [True, False])
def test_a_send_that_arrives_ten_times_is_one_message(
    fixtures: Fixtures, token: str, push: Push, bells: RecordingDoorbell, *, is_same_envelope: bool
) -> None:
    sent = fields(*fixtures.accounts(3), token=token)
    first = envelope(sent)

    push(*[first if is_same_envelope else envelope(sent) for _ in range(10)])
    push(envelope({**sent, "recipient_uuids": sent["recipient_uuids"][::-1], "type": "other"}))

    assert (1, 3, 0, 1) == (
        fixtures.count("message"),
        fixtures.count("recipient"),
        fixtures.count("refused_send"),
        len(bells.rung),
    )


def test_many_sends_share_few_transactions(fixtures: Fixtures, token: str, push: Push) -> None:
    account_id = fixtures.account()

    push(*[envelope(fields(account_id, token=token)) for _ in range(200)])

    (row,) = fixtures.run_sql("SELECT count(*) AS messages, count(DISTINCT xmin::text) AS commits FROM message")
    assert 200 == row.messages
    assert row.commits <= 4


# What makes the token (from what issues credentials, and the fixtures), its error, and whether its client is known.
REFUSED_TOKENS: dict[str, tuple[Callable[[Issue, Fixtures], object], str, bool]] = {
    "a number": (lambda _i, _f: 7, "invalid_token", False),
    "a list": (lambda _i, _f: ["at"], "invalid_token", False),
    "empty": (lambda _i, _f: "", "invalid_token", False),
    "unknown": (lambda _i, _f: f"at_{'0' * 16}_{'A' * 43}", "invalid_token", False),
    "forged": (lambda issue, _f: issue()[:-3] + "AAA", "invalid_token", False),
    "an API key": (lambda issue, _f: issue(CredentialKind.API_KEY), "invalid_token", False),
    "a secret": (lambda issue, _f: issue(CredentialKind.CLIENT_SECRET), "invalid_token", False),
    "a line behind it": (lambda issue, _f: issue() + "\n", "invalid_token", False),
    "expired": (lambda issue, _f: issue(lifetime=timedelta(seconds=-1)), "expired_token", True),
    "of another scope": (lambda issue, _f: issue(scopes=[Scope.MESSAGE_READ]), "insufficient_scope", True),
    "of a client that may not": (
        lambda issue, fixtures: issue(client_id=fixtures.client(scopes=[Scope.MESSAGE_READ])),
        "insufficient_scope",
        True,
    ),
}


@pytest.mark.parametrize("case", REFUSED_TOKENS)
def test_without_a_valid_token_only_the_token_is_checked(
    case: str, fixtures: Fixtures, settings: Settings, push: Push
) -> None:
    make_token, code, is_genuine = REFUSED_TOKENS[case]
    sent = fields(uuid4(), token=make_token(partial(credential, fixtures, settings.pepper), fixtures), subject=None)

    push(envelope(sent))

    (refusal,) = refusals(fixtures)
    assert [("token", code)] == [(fault["field"], fault["code"]) for fault in refusal.faults]
    assert (UUID(sent["message_uuid"]), is_genuine) == (refusal.message_id, refusal.client_id is not None)


def test_a_revoked_token_is_invalid(fixtures: Fixtures, token: str, push: Push) -> None:
    with transaction(fixtures.database) as db:
        credentials.revoke_all(db, fixtures.client_id)

    push(envelope(fields(fixtures.account(), token=token)))

    assert ([["invalid_token"]], 0) == (codes(fixtures), fixtures.count("message"))


def test_a_used_id_is_refused_without_a_hint_at_whose_message_has_it(
    fixtures: Fixtures, settings: Settings, token: str, push: Push
) -> None:
    account_id, other_id = fixtures.account(), fixtures.client()
    other_token = credential(fixtures, settings.pepper, client_id=other_id)
    sent = fields(account_id, token=token, subject="first")
    push(envelope(sent))

    push(envelope({**sent, "subject": "second"}), envelope({**sent, "token": other_token}))

    assert ("first", 1) == (fixtures.view(UUID(sent["message_uuid"])).subject, fixtures.count("message"))
    theirs, own = sorted(refusals(fixtures), key=lambda each: each.client_id == fixtures.client_id)
    assert (other_id, fixtures.client_id, theirs.faults) == (
        theirs.client_id,
        own.client_id,
        own.faults,
    )
    assert [["message_uuid_reused"]] * 2 == codes(fixtures)


def test_two_different_sends_with_one_new_id_are_one_message_and_one_refusal(
    fixtures: Fixtures, token: str, push: Push
) -> None:
    sent = fields(fixtures.account(), token=token)

    push(envelope(sent), envelope({**sent, "subject": "another"}))

    assert (1, [["message_uuid_reused"]]) == (fixtures.count("message"), codes(fixtures))


def test_unknown_recipients_are_named_by_their_positions_and_nothing_is_stored(
    fixtures: Fixtures, token: str, push: Push
) -> None:
    known, closed = fixtures.account(), fixtures.account(status=AccountStatus.CLOSED)

    push(envelope(fields(known, closed, known, uuid4(), token=token)))

    (refusal,) = refusals(fixtures)
    assert ["recipient_uuids[1]", "recipient_uuids[3]"] == [fault["field"] for fault in refusal.faults]
    assert [["unknown_recipient", "unknown_recipient"], 0] == [codes(fixtures)[0], fixtures.count("message")]


def test_the_id_of_a_refused_send_can_be_used_for_the_corrected_message(
    fixtures: Fixtures, token: str, push: Push
) -> None:
    sent = fields(fixtures.account(), token=token)
    push(envelope({**sent, "body": ""}))

    push(envelope(sent))

    assert ([["blank"]], 1) == (codes(fixtures), fixtures.count("message"))


def test_each_invalid_element_is_refused_alone_and_valid_sends_are_stored(
    fixtures: Fixtures, token: str, push: Push
) -> None:
    account_id = fixtures.account()
    invalid_fields = {
        "a NUL": fields(account_id, token=token, body="\x00"),
        "a NUL in the token": fields(account_id, token="\x00"),
        "a huge list": fields(*[account_id] * 20_000, token=token),
        "numbers": fields(account_id, token=token, body=10**300, subject=1.5, sender_name=True),
        "objects": fields(account_id, token=token, sender_email={}, type=[]),
        "no fields": {},
    }
    valid = [envelope(fields(account_id, token=token)) for _ in range(3)]

    invalid = [*map(envelope, invalid_fields.values()), *(raw for raw, _ in NOT_READABLE.values())]

    push(valid[0], *invalid[:3], valid[1], *invalid[3:], valid[2])

    assert 3 == fixtures.count("message")
    assert len(invalid_fields) + len(NOT_READABLE) == len(refusals(fixtures))


def test_a_refused_send_keeps_none_of_its_content(fixtures: Fixtures, push: Push) -> None:
    secret = "ada@example.com says Guten Tag"

    push(envelope(fields(uuid4(), token=secret, body=secret)), envelope({secret: secret}), secret.encode())

    kept = " ".join(str(tuple(row)) for row in fixtures.run_sql("SELECT * FROM refused_send"))
    assert 3 == len(refusals(fixtures))
    assert not [word for word in secret.split() if word in kept]


def test_a_client_finds_its_own_refusal_and_none_of_other_clients(fixtures: Fixtures, token: str, push: Push) -> None:
    sent = fields(fixtures.account(), token=token, subject="")
    push(envelope(sent))

    with transaction(fixtures.database) as db:
        found = refused_sends.find(db, UUID(sent["message_uuid"]), fixtures.client_id)
        found_by_another = refused_sends.find(db, UUID(sent["message_uuid"]), fixtures.client())

    assert found is not None
    assert (["blank"], None) == ([fault["code"] for fault in found.faults], found_by_another)


def test_sends_of_every_priority_are_read(fixtures: Fixtures, token: str, push: Push) -> None:
    for name in LISTS:
        push(envelope(fields(fixtures.account(), token=token)), into=name)

    assert len(LISTS) == fixtures.count("message")


@pytest.fixture
def broken_subject(fixtures: Fixtures) -> Iterator[str]:
    """Yield a subject that makes an INSERT fail, as a defect of ours would."""
    fixtures.run_sql("""
        CREATE FUNCTION break_on_subject() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.subject = 'broken' THEN RAISE 'a defect'; END IF; RETURN NEW; END $$
    """)
    fixtures.run_sql("CREATE TRIGGER broken BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION break_on_subject()")
    yield "broken"
    fixtures.run_sql("DROP FUNCTION break_on_subject CASCADE")


@pytest.mark.parametrize("point", [CrashPoint.DIRECT_SEEN, CrashPoint.DIRECT_WRITTEN, CrashPoint.DIRECT_COMMITTED])
def test_a_send_whose_connection_was_cut_is_tried_again_and_not_refused(
    fixtures: Fixtures, token: str, context: StepContext, point: CrashPoint, tmp_path: Path
) -> None:
    envelopes = [envelope(fields(fixtures.account(), token=token))]
    arm(f"{point}:1:cut:{tmp_path / 'mark'}")

    with pytest.raises(ConnectionResetError):
        accept_or_refuse(context, envelopes)
    arm("")
    finished = accept_or_refuse(context, envelopes)

    assert (envelopes, 1, []) == (finished, fixtures.count("message"), codes(fixtures))


def test_a_send_that_breaks_the_step_is_refused_and_the_others_are_stored(
    fixtures: Fixtures, token: str, context: StepContext, broken_subject: str
) -> None:
    sends = [
        fields(fixtures.account(), token=token, subject=subject) for subject in ("good", broken_subject, "as good")
    ]
    envelopes = [envelope(each) for each in sends]

    finished = accept_or_refuse(context, envelopes)

    assert (envelopes, 2, [["internal_error"]]) == (finished, fixtures.count("message"), codes(fixtures))
    assert [UUID(sends[1]["message_uuid"])] == [each.message_id for each in refusals(fixtures)]
