"""The answer to a dry run: what would become of a message, of which nothing was stored."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from api_stub.schemas.messages import RecipientData, build_recipient
from delivery.records.views.messages import RecipientView
from delivery.rules.status import reduce_status
from delivery.rules.status_text import describe
from delivery.vocabulary import Status, StatusReason


class DryRunMeta(BaseModel):
    """The status that the message would have. What does not apply is absent."""

    dry_run: Literal[True] = True
    vetting: Literal["not_evaluated"] = "not_evaluated"
    status: Status
    status_message: str
    failed_recipients: list[UUID] | None = None
    status_reason: StatusReason
    ignored_fields: list[str] | None = None


class DryRunData(BaseModel):
    """What would become of each recipient."""

    recipients: list[RecipientData]


class DryRun(BaseModel):
    """The answer to a dry run."""

    success: Literal[1] = 1
    meta: DryRunMeta
    data: DryRunData


def build_dry_run(recipients: Sequence[RecipientView], ignored_fields: list[str]) -> DryRun:
    """Build the answer to a dry run with these recipients."""
    statuses = tuple(each.recipient_status for each in recipients)
    verdict = reduce_status(statuses)
    optional: dict[str, list[UUID] | list[str]] = {}
    if verdict.failed:
        optional["failed_recipients"] = list(verdict.failed)
    if ignored_fields:
        optional["ignored_fields"] = ignored_fields
    meta = DryRunMeta.model_validate(
        {
            "dry_run": True,
            "vetting": "not_evaluated",
            "status": verdict.status,
            "status_message": describe(verdict, statuses),
            "status_reason": verdict.reason,
            **optional,
        }
    )
    return DryRun(success=1, meta=meta, data=DryRunData(recipients=[build_recipient(each) for each in recipients]))
