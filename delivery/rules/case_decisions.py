"""Decisions about vetting cases: who decides what, for whom, and in which state that leaves the case."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from delivery.detection.folding import without_invisible
from delivery.vocabulary import CaseState, Reason

LONGEST_PAUSE = timedelta(seconds=300)
LONGEST_STANDING = timedelta(days=90)
_LONGEST_NOTE = 4000
_LONGEST_TEXT = {"sentence": 300, "reason": 100, "note": _LONGEST_NOTE}


class CaseVerdict(StrEnum):
    """What a decision says about the recipients that it is for."""

    APPROVE = "approve"
    """They are decided again, as if no rule had held them."""
    REJECT = "reject"
    """They are refused."""
    EXPIRE = "expire"
    """They are refused because staff did not decide in time."""


class ActorKind(StrEnum):
    """What kind of actor decides."""

    STAFF = "staff"
    OPERATOR = "operator"
    """A person who runs a command."""
    CLIENT = "client"
    """A person behind a client of the API."""
    CLOCK = "clock"
    """No person: the time of a review is over."""


class NoteKind(StrEnum):
    """What a note about a case is for."""

    NOTE = "note"
    QUESTION = "question"
    """A question to a colleague."""
    ESCALATION = "escalation"
    """Why another person should look at the case soon."""


REFUSALS = {CaseVerdict.REJECT: Reason.REFUSED_BY_STAFF, CaseVerdict.EXPIRE: Reason.EXPIRED_IN_REVIEW}
"""The reason that a verdict leaves at a recipient which it refuses."""
_STATES = {
    CaseVerdict.APPROVE: CaseState.APPROVED,
    CaseVerdict.REJECT: CaseState.REJECTED,
    CaseVerdict.EXPIRE: CaseState.EXPIRED,
}


class DecisionRefused(Exception):  # noqa: N818 - a fact about the decision
    """A decision, or its undo, changed nothing. The message of the exception is for the person who tried."""


class CaseNotOpen(DecisionRefused):
    """The case cannot be decided: it does not exist, it is decided, or it is closed."""


class CaseChanged(DecisionRefused):
    """The case has another version than the one that the decision was made on."""


class OwnMessage(DecisionRefused):
    """The actor sent or received the message."""


class NotUndone(DecisionRefused):
    """There is nothing to undo: the decision was applied, or undone before."""


class InvalidDecision(DecisionRefused):
    """The decision itself is not possible, whatever the case is."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides. `account_id` and `address` say which member of the platform this person is, if that is known."""

    kind: ActorKind
    actor_id: str
    """The id of the person or client. For a command, the user and host that the operating system knows."""
    name: str
    """The name as claimed, for people."""
    account_id: UUID | None = None
    address: str | None = None


CLOCK = Actor(ActorKind.CLOCK, "clock", "the clock")
"""The actor of what happens when a time is over."""


@dataclass(frozen=True, slots=True)
class CaseDecision:
    """A decision about a case, for `only` these accounts or, with None, for all held recipients.

    With a `version`, it is refused when the case has another one. It takes effect after `pause`, at most 300 s, and
    can be undone until then. `sentence` is for the sender; reason and note are for staff.

    Raises `InvalidDecision` for a text that is too long, has more than one line or invisible characters, and for a
    pause out of range.
    """

    verdict: CaseVerdict
    actor: Actor
    version: int | None = None
    pause: timedelta = timedelta()
    only: tuple[UUID, ...] | None = None
    reason: str | None = None
    sentence: str | None = None
    note: str | None = None
    batch_id: UUID | None = field(default=None, compare=False)
    released_with: str | None = None
    """The rule and version with which the message is released, without a look at it."""

    def __post_init__(self) -> None:
        if not timedelta() <= self.pause <= LONGEST_PAUSE:
            raise InvalidDecision(f"A pause is 0 to {LONGEST_PAUSE.seconds} seconds.")
        if self.only is not None and not self.only:
            raise InvalidDecision("Name at least one recipient, or decide for all.")
        for name, limit in _LONGEST_TEXT.items():
            _check_text(name, getattr(self, name), limit)

    def concerns(self, account_id: UUID) -> bool:
        """Whether the decision is for this account."""
        return self.only is None or account_id in self.only


def _check_text(name: str, value: str | None, limit: int) -> None:
    if value is None:
        return
    if len(value) > limit:
        raise InvalidDecision(f"The {name} has {len(value)} characters; at most {limit} are possible.")
    is_line = "".join(value.splitlines()) == value and "\t" not in value
    if name == "note":
        is_line = "\0" not in value
    elif without_invisible(value) != value:
        raise InvalidDecision(f"The {name} has invisible characters.")
    if not is_line or not value.strip():
        raise InvalidDecision(f"The {name} has to be text, of one line.")


@dataclass(frozen=True, slots=True)
class StandingDecision:
    """What becomes of the text of a case from its sender for a while: it passes or is refused. At most 90 days.

    Raises `InvalidDecision`.
    """

    case_id: UUID
    verdict: CaseVerdict
    actor: Actor
    lasts: timedelta = timedelta(days=7)
    reason: str | None = None
    sentence: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is CaseVerdict.EXPIRE or not timedelta() < self.lasts <= LONGEST_STANDING:
            raise InvalidDecision(f"A standing decision approves or rejects for {LONGEST_STANDING.days} days at most.")
        for name in ("sentence", "reason"):
            _check_text(name, getattr(self, name), _LONGEST_TEXT[name])


@dataclass(frozen=True, slots=True)
class CaseNote:
    """A note about a case. A question names the actor id of the colleague that it is for. Raises `InvalidDecision`."""

    actor: Actor
    content: str
    kind: NoteKind = NoteKind.NOTE
    asked_id: str | None = None

    def __post_init__(self) -> None:
        _check_text("note", self.content, _LONGEST_NOTE)
        if (self.kind is NoteKind.QUESTION) != (self.asked_id is not None):
            raise InvalidDecision("A question, and nothing else, is for one colleague.")


def closing_state(verdicts: Collection[CaseVerdict]) -> CaseState:
    """Return the state of a case without held recipients, given the verdicts that were applied to it."""
    states = {_STATES[each] for each in verdicts}
    return states.pop() if len(states) == 1 else CaseState.PARTLY


def is_of(actor: Actor, accounts: Iterable[UUID | None], addresses: Iterable[str | None]) -> bool:
    """Check whether the actor is one of these accounts, or has one of these addresses in any case of letters."""
    if actor.account_id is not None and actor.account_id in accounts:
        return True
    return actor.address is not None and actor.address.lower() in {each.lower() for each in addresses if each}
