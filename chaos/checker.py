"""The checker: it compares the answers to clients, the mails that the relay accepted, and the final database."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from chaos.clients import account_id, subject
from chaos.cluster import API, POSTGRES, processes_of
from chaos.evidence import Evidence
from chaos.schedule import Ending, Fault, Planned, PlannedFault
from delivery.rules.states import STATE_CLASSES, StateClass, is_final
from delivery.vocabulary import CaseState, Channel, State, Status

_CLOCK_TOLERANCE_S = 0.05
_CREATED, _BAD_REQUEST = 201, 400
_ANSWERS = {_CREATED, _BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE}
_IN_TIME_S, _BACK_WITHIN_S = 4.0, 10.0
_NEEDED_BY_THE_API = {API, POSTGRES, "all", "commit"}


def violations(evidence: Evidence) -> list[str]:
    """Return every broken promise with the message that broke it."""
    return [
        f"{invariant.__name__}: message {planned.number} ({planned.ending}): {fault}"
        for planned in evidence.schedule.messages
        for invariant in INVARIANTS
        for fault in invariant(evidence, planned)
    ] + [f"nothing_unordered: {fault}" for fault in _nothing_unordered(evidence)]


def what_was_accepted_is_there(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that every 201 is one message, with exactly the recipients that were requested."""
    stored = _stored(evidence, planned)
    accepted = {answer.message_id for answer in evidence.history.answers[planned.number] if answer.status == _CREATED}
    if planned.number in evidence.history.direct and not _is_wiped(evidence):
        accepted.add(evidence.history.direct[planned.number])
    for message_id in accepted - {str(row["id"]) for row in stored}:
        yield f"{message_id} was answered 201 and is gone"
    wanted = {account_id(pool, number) for pool, number in planned.recipients}
    for row in stored:
        if {each["account_id"] for each in evidence.recipients[row["id"]]} != wanted:
            yield f"{row['id']} has other recipients than were requested"


def one_key_is_one_message(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that a message is stored once, however often its request was repeated."""
    stored = _stored(evidence, planned)
    if len(stored) > 1:
        yield f"{len(stored)} messages instead of one"


def what_was_refused_is_not_there(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that a request that was answered 4xx stores nothing."""
    statuses = [answer.status or 0 for answer in evidence.history.answers[planned.number]]
    is_refused = planned.ending is Ending.FAULTY or (bool(statuses) and all(400 <= each < 500 for each in statuses))
    if is_refused and _stored(evidence, planned):
        yield "it was refused and is stored all the same"
    if planned.ending is Ending.FAULTY and _CREATED in statuses:
        yield "it names an unknown account and was answered 201"


def everything_comes_to_an_end(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that every recipient is final, except mailboxes that are always busy and messages that stay held."""
    for row in _stored(evidence, planned):
        for each in evidence.recipients[row["id"]]:
            is_waiting = each["email"].endswith("@busy.example") and each["state"] != State.ACCEPTED
            is_undecided = each["state"] == State.HELD and planned.ending is Ending.HELD
            if not is_final(State(each["state"])) and not is_waiting and not is_undecided:
                yield f"recipient {each['id']} is still {each['state']} (attempt {each['attempt']})"
            if each["state"] == State.HELD and row["case_state"] is None:
                yield f"recipient {each['id']} is held and has no case"


def inbox_letters_come_once(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that each recipient who was reached in the inbox has one letter, and no other recipient has any."""
    for each in _recipients(evidence, planned):
        wanted = int(each["state"] == State.DELIVERED and each["channel"] == Channel.INBOX)
        if each["letters"] != wanted:
            yield f"recipient {each['id']} is {each['state']} and has {each['letters']} letters"


def mails_come_once_or_say_so(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that a second copy is flagged and has the same Message-ID, and that "delivered" means at least one."""
    for each in _recipients(evidence, planned):
        copies = evidence.copies.get((subject(evidence.run, planned.number), each["email"]), [])
        is_by_mail = each["channel"] == Channel.EMAIL
        if len(copies) > 1 and not each["possibly_duplicated"]:
            yield f"recipient {each['id']} got {len(copies)} copies and does not say so"
        if len({copy.mail_id for copy in copies}) > 1:
            yield f"recipient {each['id']} got copies with different Message-IDs"
        if is_by_mail and each["state"] == State.DELIVERED and not copies:
            yield f"recipient {each['id']} is delivered and got nothing"
        if copies and each["state"] in {State.HELD, State.BLOCKED, State.REFUSED, State.ACCEPTED, State.QUEUED}:
            yield f"recipient {each['id']} is {each['state']} and got a copy"
        if copies and each["state"] == State.FAILED and not each["possibly_duplicated"]:
            yield f"recipient {each['id']} is failed, got a copy, and does not say so"


def counters_are_what_they_count(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that counters equal what they count, and that the status follows from them."""
    for row in _stored(evidence, planned):
        states = [State(each["state"]) for each in evidence.recipients[row["id"]]]
        counted = tuple(
            sum(STATE_CLASSES[state] is weight for state in states) for weight in (StateClass.OPEN, StateClass.GOOD)
        )
        if (row["open_count"], row["good_count"]) != counted:
            yield f"counters {row['open_count']}/{row['good_count']}, counted {counted[0]}/{counted[1]}"
        if row["status"] != _status_of(*counted):
            yield f"status {row['status']} does not follow from {sorted(states)}"


def what_is_held_leaks_nothing(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that no letter and no mail comes before the approval, and none after a rejection."""
    if planned.ending not in {Ending.HELD, Ending.APPROVED, Ending.REJECTED}:
        return
    decision = evidence.history.decisions.get(planned.number)
    allowed_at = decision.began_at if decision and decision.state is CaseState.APPROVED else float("inf")
    for each in _recipients(evidence, planned):
        copies = evidence.copies.get((subject(evidence.run, planned.number), each["email"]), [])
        times = [copy.taken_at for copy in copies] + ([float(each["letter_at"])] if each["letter_at"] else [])
        if times and min(times) < allowed_at - _CLOCK_TOLERANCE_S:
            yield f"recipient {each['id']} was reached before it was approved"


def intake_never_falters(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that every request is answered, whatever happens to Redis, relay and workers."""
    if any(_may_silence_the_api(fault) for fault in evidence.schedule.faults):
        return
    for answer in evidence.history.answers[planned.number]:
        if answer.status not in {_CREATED, _BAD_REQUEST}:
            yield f"it was answered {answer.status}"


def the_api_answers_in_time(evidence: Evidence, planned: Planned) -> Iterator[str]:
    """Check that with PostgreSQL down a request is answered 503 within 2 s, and accepted within 10 s of its return.

    The API has twice the 2 s, because the machine of a trial is busy. Where PostgreSQL is well `intake_never_falters`
    checks more.
    """
    faults = evidence.schedule.faults
    if any(_may_hit_the_api(fault) for fault in faults) or not any(_may_silence_the_api(fault) for fault in faults):
        return
    for answer in evidence.history.answers[planned.number]:
        if answer.status not in _ANSWERS or answer.took_s > planned.wait_s + _IN_TIME_S:
            yield f"it was answered {answer.status} after {answer.took_s:.1f} s"
        is_late = answer.asked_at > evidence.history.healed_at + _BACK_WITHIN_S
        if is_late and answer.status not in {_CREATED, _BAD_REQUEST}:
            yield f"it was answered {answer.status} with the database back for more than {_BACK_WITHIN_S:.0f} s"


Invariant = Callable[[Evidence, Planned], Iterator[str]]
INVARIANTS: tuple[Invariant, ...] = (
    what_was_accepted_is_there,
    one_key_is_one_message,
    what_was_refused_is_not_there,
    everything_comes_to_an_end,
    inbox_letters_come_once,
    mails_come_once_or_say_so,
    counters_are_what_they_count,
    what_is_held_leaks_nothing,
    intake_never_falters,
    the_api_answers_in_time,
)


def _nothing_unordered(evidence: Evidence) -> Iterator[str]:
    """Check that every mail went to a recipient of a stored message."""
    for about, address in evidence.copies:
        stored = evidence.messages.get(about, [])
        addresses = {each["email"] for row in stored for each in evidence.recipients[row["id"]]}
        if address not in addresses:
            yield f"{address} got a mail about {about!r} that no client sent"


def _stored(evidence: Evidence, planned: Planned) -> list[dict[str, Any]]:
    return evidence.messages.get(subject(evidence.run, planned.number), [])


def _recipients(evidence: Evidence, planned: Planned) -> list[dict[str, Any]]:
    return [each for row in _stored(evidence, planned) for each in evidence.recipients[row["id"]]]


def _is_wiped(evidence: Evidence) -> bool:
    """Return whether the broker was wiped: until a worker stores a direct send, it exists only there (README.md)."""
    return any(fault.fault is Fault.FLUSHALL for fault in evidence.schedule.faults)


def _may_hit_the_api(fault: PlannedFault) -> bool:
    if fault.point is not None:
        return API in processes_of(fault.point)
    return fault.fault in {Fault.KILL_API, Fault.FREEZE_API, Fault.KILL_ALL}


def _may_silence_the_api(fault: PlannedFault) -> bool:
    if fault.point is not None:
        return API in processes_of(fault.point)
    return fault.fault.partition("_")[2] in _NEEDED_BY_THE_API


def _status_of(open_count: int, good_count: int) -> Status:
    if good_count:
        return Status.SENT
    return Status.PENDING if open_count else Status.REJECTED
