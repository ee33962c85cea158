"""The answers about messages, as clients read them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api_stub.schemas.messages import build_created, build_detail
from delivery.records.views.messages import MessageView, Progress, RecipientView
from delivery.rules.states import is_final
from delivery.vocabulary import Channel, MessageType, State
from tests.support import build

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CASE_ID = build.account_id(99)


def meta_of(*states: State, **chosen: Any) -> dict[str, Any]:
    """Return the `meta` of the answer to a message whose recipients are in these states."""
    answer = build_created(build.MESSAGE_ID, Progress(tuple(build.standings(*states)), chosen.get("vetting_id")), [])
    written = answer.model_dump(mode="json", exclude_unset=True)
    assert {"success": 1, "data": None} == {key: written[key] for key in ("success", "data")}
    meta: dict[str, Any] = written["meta"]
    return meta


def view(*states: State, sent_at: datetime | None = None) -> MessageView:
    """Make a stored message with recipients in these states."""
    recipients = tuple(
        RecipientView(
            recipient_id=number,
            account_id=build.account_id(number),
            state=state,
            reason=None,
            channel=Channel.EMAIL,
            changed_at=NOON,
            attempt=1,
            due_at=None if is_final(state) else NOON,
            possibly_duplicated=False,
            detail="550 5.1.1 secret words of the relay",
        )
        for number, state in enumerate(states)
    )
    texts = {"sender_name": "Anna", "sender_email": None, "subject": "Hi", "body": "Hello"}
    ids = {"message_id": build.MESSAGE_ID, "client_id": build.CLIENT_ID, "vetting_id": None}
    times = {"created_at": NOON, "sent_at": sent_at}
    return MessageView(**ids, **texts, **times, type=MessageType.RFQ, recipients=recipients)  # type: ignore[arg-type]


def test_a_message_that_reached_all_recipients_has_only_a_status_and_an_id() -> None:
    assert {
        "status": "sent",
        "status_message": "Delivered to all recipients.",
        "status_reason": "delivered",
        "message_uuid": str(build.MESSAGE_ID),
    } == meta_of(State.DELIVERED)


def test_failed_recipients_are_listed_when_others_did_not_fail() -> None:
    meta = meta_of(State.BLOCKED, State.DELIVERED, State.FAILED)

    assert [str(build.account_id(0)), str(build.account_id(2))] == meta["failed_recipients"]


@pytest.mark.parametrize("states", [(State.BLOCKED, State.FAILED), (State.DELIVERED, State.HELD)])
def test_failed_recipients_are_absent_when_all_or_none_failed(states: tuple[State, ...]) -> None:
    assert "failed_recipients" not in meta_of(*states)


def test_a_message_in_review_has_the_id_of_its_case() -> None:
    meta = meta_of(State.HELD, vetting_id=CASE_ID)

    assert ("pending", "in_review", str(CASE_ID)) == (
        meta["status"],
        meta["status_reason"],
        meta["message_vetting_id"],
    )


def test_a_message_has_its_recipients_and_no_words_of_the_relay() -> None:
    written = build_detail(view(State.RETRYING, State.FAILED)).model_dump(mode="json", exclude_unset=True)

    data = written["data"]
    assert ("pending", "pending", "rfq") == (data["status"], data["status_code"], data["type"])
    assert [str(build.account_id(number)) for number in (0, 1)] == data["recipient_uuids"]
    assert {
        "uuid": str(build.account_id(0)),
        "state": "retrying",
        "reason": None,
        "channel": "email",
        "time": "2026-03-01T12:00:00Z",
        "attempts": 1,
        "next_attempt_at": "2026-03-01T12:00:00Z",
        "possibly_duplicated": False,
    } == data["recipients"][0]
    assert "secret words" not in str(written)


def test_the_time_of_sending_is_present_once_a_message_is_sent() -> None:
    pending = build_detail(view(State.QUEUED)).model_dump(mode="json", exclude_unset=True)
    sent = build_detail(view(State.DELIVERED, sent_at=NOON)).model_dump(mode="json", exclude_unset=True)

    assert "time_sent" not in pending["data"]
    assert "2026-03-01T12:00:00Z" == sent["data"]["time_sent"]


@pytest.mark.parametrize("state", State)
def test_only_a_recipient_that_waits_for_an_attempt_has_a_next_one(state: State) -> None:
    recipient = build_detail(view(state)).data.recipients[0]

    assert (state in {"queued", "retrying", "unknown"}) is (recipient.next_attempt_at is not None)
