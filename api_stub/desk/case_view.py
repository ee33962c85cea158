"""Everything that the page of a case shows, read in one transaction."""

from dataclasses import dataclass
from uuid import UUID

from delivery.detection.displayed_text import Piece, count_unseen, marked, spelled_out
from delivery.detection.links import Link, find_links
from delivery.records.database import Transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.records.vetting import case_work, decisions
from delivery.records.vetting.case_work import NoteView
from delivery.records.vetting.decisions import DecisionView
from delivery.records.views.desk import case_page
from delivery.records.views.desk.case_page import AlikeCase, CaseHit, CaseRecipient, SenderCard
from delivery.vocabulary import State

_MOST_LINKS = 30


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link as text: what stands before the registered domain, that domain, and what is odd about it."""

    before: str
    domain: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownText:
    """One text of a message, as its recipient sees it and as it is stored."""

    field: str
    title: str
    marked: tuple[Piece, ...]
    stored: tuple[Piece, ...]
    unseen_count: int


@dataclass(frozen=True, slots=True)
class CasePage:
    """A case with everything around it."""

    case: CaseView
    texts: tuple[ShownText, ...]
    links: tuple[ShownLink, ...]
    hits: list[CaseHit]
    recipients: list[CaseRecipient]
    sender: SenderCard
    alike: list[AlikeCase]
    decisions: list[DecisionView]
    notes: list[NoteView]

    @property
    def held(self) -> list[CaseRecipient]:
        """The recipients that wait for a decision."""
        return [each for each in self.recipients if each.state is State.HELD]

    @property
    def pending(self) -> DecisionView | None:
        """The decision that can still be undone."""
        return next((each for each in self.decisions if each.is_pending), None)

    @property
    def last(self) -> DecisionView | None:
        """The last decision that was not undone."""
        return next((each for each in reversed(self.decisions) if each.undone_at is None), None)


def read_case(db: Transaction, case_id: UUID) -> CasePage | None:
    """Return a case with everything around it; None when there is no such case."""
    case = vetting_cases.find(db, case_id)
    if case is None:
        return None
    return CasePage(
        case=case,
        texts=_texts(case),
        links=_links(case),
        hits=case_page.hits(db, case.message_id),
        recipients=case_page.recipients(db, case.message_id),
        sender=case_page.sender_card(db, case.message_id),
        alike=case_page.alike(db, case.message_id),
        decisions=decisions.of_case(db, case_id),
        notes=case_work.notes(db, case_id),
    )


def _texts(case: CaseView) -> tuple[ShownText, ...]:
    fields = (("sender_name", "From", case.sender_name), ("subject", "Subject", case.subject), ("body", "", case.body))
    phrases = {field: [each.phrase for each in case.findings if each.field == field] for field, _, _ in fields}
    return tuple(
        ShownText(field, title, marked(text, phrases[field]), spelled_out(text), count_unseen(text))
        for field, title, text in fields
    )


def _links(case: CaseView) -> tuple[ShownLink, ...]:
    found = dict.fromkeys(find_links(f"{case.subject}\n{case.body}").links)
    return tuple(_shown(link) for link in list(found)[:_MOST_LINKS])


def _shown(link: Link) -> ShownLink:
    odd = {
        "mixes alphabets": link.is_look_alike,
        "written in punycode": link.is_punycode,
        "an IP address": link.is_address,
        "has a user name before the host": link.has_user,
    }
    before = link.host.removesuffix(link.domain) if link.host.endswith(link.domain) else ""
    return ShownLink(before, link.domain, tuple(name for name, is_so in odd.items() if is_so))
