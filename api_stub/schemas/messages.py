"""The answers about messages and inboxes: those of the ProZ.com v2 API, and what Postroom adds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api_stub.openapi import FaultData
from api_stub.requests.pagination import Page, write_cursor
from delivery.records.views.inbox import PAGE_LIMIT_BYTES, InboxView
from delivery.records.views.message_list import ListedMessage
from delivery.records.views.messages import MessageView, Progress, RecipientView
from delivery.rules.status import reduce_status
from delivery.rules.status_text import NEUTRAL_REASONS, REFUSED_SEND, describe, neutral_reason
from delivery.vocabulary import Channel, MessageType, State, Status, StatusReason


class MessageMeta(BaseModel):
    """The status of a message. What does not apply is absent."""

    status: Status
    status_message: str
    failed_recipients: list[UUID] | None = None
    status_reason: StatusReason
    message_uuid: UUID
    message_vetting_id: UUID | None = None
    ignored_fields: list[str] | None = None


class RecipientData(BaseModel):
    """The state of one recipient."""

    uuid: UUID
    state: State
    reason: str | None = Field(json_schema_extra={"enum": [*NEUTRAL_REASONS, None]})
    channel: Channel | None
    time: datetime
    attempts: int
    next_attempt_at: datetime | None
    possibly_duplicated: bool


class MessageSummary(BaseModel):
    """A message in a list. `time_sent` is absent until the first recipient is reached."""

    uuid: UUID
    recipient_uuids: list[UUID]
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType
    time_created: datetime
    time_sent: datetime | None = None
    status: Status
    status_code: Status


class MessageData(MessageSummary):
    """A message as its client reads it, with the state of each recipient."""

    recipients: list[RecipientData]


class InboxItem(BaseModel):
    """A message in an inbox."""

    message_uuid: UUID
    subject: str
    body: str
    sender_name: str
    time: datetime


class PageMeta(BaseModel):
    """The cursor of the next page; absent on the last page."""

    next_cursor: str | None = None


class MessageCreated(BaseModel):
    """The answer to a message that was stored."""

    success: Literal[1] = 1
    meta: MessageMeta
    data: None = None


class MessageDetail(BaseModel):
    """The answer about one message."""

    success: Literal[1] = 1
    meta: MessageMeta
    data: MessageData


class RefusedSendDetail(BaseModel):
    """The answer about a direct send that was refused, for its sender alone. It is no message and has no data."""

    success: Literal[1] = 1
    meta: MessageMeta
    # Always null. The type is that of a message's answer, so that a generated client reads `data` of either.
    data: MessageData | None = None
    errors: list[FaultData]


class MessageList(BaseModel):
    """The answer about the messages of a client."""

    success: Literal[1] = 1
    meta: PageMeta
    data: list[MessageSummary]


class Inbox(BaseModel):
    """The answer about an inbox."""

    success: Literal[1] = 1
    meta: PageMeta
    data: list[InboxItem]


def build_created(message_id: UUID, progress: Progress, ignored_fields: list[str]) -> MessageCreated:
    """Build the answer to a message that was stored. `ignored_fields` are those that do nothing here."""
    meta = _meta(message_id, progress)
    if ignored_fields:
        meta.ignored_fields = ignored_fields
    return MessageCreated(success=1, meta=meta, data=None)


def build_detail(view: MessageView) -> MessageDetail:
    """Build the answer about one message."""
    progress = Progress(
        tuple(each.recipient_status for each in view.recipients), view.vetting_id, view.sentence, view.usual_minutes
    )
    meta = _meta(view.message_id, progress)
    sent = {"time_sent": view.sent_at} if meta.status is Status.SENT else {}
    data = MessageData(
        uuid=view.message_id,
        recipient_uuids=[each.account_id for each in view.recipients],
        sender_name=view.sender_name,
        sender_email=view.sender_email,
        subject=view.subject,
        body=view.body,
        type=view.type,
        time_created=view.created_at,
        status=meta.status,
        status_code=meta.status,
        recipients=[build_recipient(each) for each in view.recipients],
        **sent,
    )
    return MessageDetail(success=1, meta=meta, data=data)


def build_refused(message_id: UUID, faults: Sequence[Mapping[str, str]]) -> RefusedSendDetail:
    """Build the answer about a direct send that was refused for these faults."""
    meta = MessageMeta(
        status=Status.REJECTED,
        status_message=REFUSED_SEND,
        status_reason=StatusReason.REFUSED_SEND,
        message_uuid=message_id,
    )
    return RefusedSendDetail(success=1, meta=meta, data=None, errors=[FaultData(**fault) for fault in faults])


def build_list(found: list[ListedMessage], page: Page[UUID]) -> MessageList:
    """Build a page of a client's messages."""
    shown = found[: _fitting(page, [each.bytes_until for each in found])]
    places = [(each.created_at, each.message_id) for each in shown]
    meta = _page_meta(places, is_last=len(shown) == len(found))
    return MessageList(success=1, meta=meta, data=[_summary(each) for each in shown])


def build_inbox(entries: list[InboxView], page: Page[int]) -> Inbox:
    """Build a page of an inbox."""
    shown = entries[: _fitting(page, [each.bytes_until for each in entries])]
    data = [
        InboxItem(
            message_uuid=entry.message_id,
            subject=entry.subject,
            body=entry.body,
            sender_name=entry.sender_name,
            time=entry.delivered_at,
        )
        for entry in shown
    ]
    places = [(entry.delivered_at, entry.recipient_id) for entry in shown]
    return Inbox(success=1, meta=_page_meta(places, is_last=len(shown) == len(entries)), data=data)


def _fitting(page: Page[Any], bytes_until: list[int]) -> int:
    """Return how many entries fit on the page: its limit, and 1 MiB of bodies; at least one."""
    return max(1, min(page.limit, sum(size <= PAGE_LIMIT_BYTES for size in bytes_until)))


def _page_meta(places: list[tuple[datetime, Any]], *, is_last: bool) -> PageMeta:
    """Make the cursor after the last entry of the page, if there are more."""
    return PageMeta() if is_last else PageMeta(next_cursor=write_cursor(*places[-1]))


def _summary(found: ListedMessage) -> MessageSummary:
    sent = {"time_sent": found.sent_at} if found.status is Status.SENT else {}
    return MessageSummary(
        uuid=found.message_id,
        recipient_uuids=list(found.recipient_ids),
        sender_name=found.sender_name,
        sender_email=found.sender_email,
        subject=found.subject,
        body=found.body,
        type=found.type,
        time_created=found.created_at,
        status=found.status,
        status_code=found.status,
        **sent,
    )


def _meta(message_id: UUID, progress: Progress) -> MessageMeta:
    verdict = reduce_status(progress.recipients)
    optional: dict[str, object] = {}
    if verdict.failed:
        optional["failed_recipients"] = list(verdict.failed)
    if progress.vetting_id:
        optional["message_vetting_id"] = progress.vetting_id
    return MessageMeta.model_validate(
        {
            "status": verdict.status,
            "status_message": describe(verdict, progress.recipients, progress.sentence, progress.usual_minutes),
            "status_reason": verdict.reason,
            "message_uuid": message_id,
            **optional,
        }
    )


def build_recipient(view: RecipientView) -> RecipientData:
    """Build the part of a recipient that its client sees."""
    is_waiting = view.state in {State.QUEUED, State.RETRYING, State.UNKNOWN} and not view.is_parked
    return RecipientData(
        uuid=view.account_id,
        state=view.state,
        reason=neutral_reason(view.state, view.reason),
        channel=view.channel,
        time=view.changed_at,
        attempts=view.attempt,
        next_attempt_at=view.due_at if is_waiting else None,
        possibly_duplicated=view.possibly_duplicated,
    )
