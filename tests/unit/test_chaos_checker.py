"""The checker finds no violation in a correct history, and finds each broken invariant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import violations
from chaos.clients import account_id, address
from chaos.evidence import Evidence
from chaos.history import ClientAnswer, History
from chaos.mail_relay import Copy
from chaos.schedule import Ending, Fault, Planned, PlannedFault, Pool, Schedule
from delivery.crash_points import CrashPoint
from delivery.vocabulary import CaseState

MESSAGE_ID = "0199-one"
EMAIL = address(Pool.EMAIL, 1)


class World:
    """One message to one inbox and one mailbox, both reached. Each test breaks one thing in it."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder / "history.jsonl")
        self.ending = Ending.PLAIN
        self.fault = Fault.KILL_API
        self.point: CrashPoint | None = None
        self.message: dict[str, Any] = {
            "id": MESSAGE_ID, "open_count": 0, "good_count": 2, "status": "sent", "case_state": None,
        }  # fmt: skip
        self.inbox: dict[str, Any] = {
            "id": 1, "account_id": account_id(Pool.INBOX, 1), "email": address(Pool.INBOX, 1), "state": "delivered",
            "channel": "inbox", "attempt": 0, "possibly_duplicated": False, "letters": 1, "letter_at": 100.0,
        }  # fmt: skip
        self.mailbox = self.inbox | {
            "id": 2, "account_id": account_id(Pool.EMAIL, 1), "email": EMAIL, "channel": "email", "attempt": 1,
            "letters": 0, "letter_at": None,
        }  # fmt: skip
        self.messages = [self.message]
        self.copies = [Copy(EMAIL, "run 0", "<a@x>", 101.0)]

    def broken_invariants(self) -> list[str]:
        """Return the names of the invariants that the checker finds broken."""
        if not self.history.answers[0]:
            self.history.note_answer(ClientAnswer(0, 201, MESSAGE_ID))
        planned = Planned(0, 0.0, ((Pool.INBOX, 1), (Pool.EMAIL, 1)), self.ending, is_keyed=True, wait_s=0)
        schedule = Schedule(1, (planned,), (PlannedFault(self.fault, 1.0, point=self.point),), 0.0)
        recipients = {row["id"]: [self.inbox, self.mailbox] for row in self.messages}
        copies: dict[tuple[str, str], list[Copy]] = {}
        for copy in self.copies:
            copies.setdefault((copy.subject, copy.address), []).append(copy)
        evidence = Evidence(schedule, "run", self.history, {"run 0": self.messages}, recipients, copies)
        return sorted({fault.partition(":")[0] for fault in violations(evidence)})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.history.close()


def test_a_correct_history_has_no_violation(world: World) -> None:
    assert [] == world.broken_invariants()


def test_an_accepted_message_that_is_gone_is_found(world: World) -> None:
    world.history.note_answer(ClientAnswer(0, 201, "another"))

    assert ["what_was_accepted_is_there"] == world.broken_invariants()


def test_two_messages_for_one_key_are_found(world: World) -> None:
    world.messages = [world.message, world.message | {"id": "0199-two"}]

    assert ["one_key_is_one_message"] == world.broken_invariants()


def test_a_refused_request_that_stored_a_message_is_found(world: World) -> None:
    world.history.note_answer(ClientAnswer(0, 400))

    assert ["what_was_refused_is_not_there"] == world.broken_invariants()


def test_a_recipient_that_never_becomes_final_is_found(world: World) -> None:
    world.mailbox |= {"state": "claimed"}
    world.message |= {"open_count": 1, "good_count": 1}

    assert ["everything_comes_to_an_end"] == world.broken_invariants()


@pytest.mark.parametrize("letters", [0, 2])
def test_an_inbox_letter_too_few_or_too_many_is_found(world: World, letters: int) -> None:
    world.inbox |= {"letters": letters}

    assert ["inbox_letters_come_once"] == world.broken_invariants()


def test_a_second_copy_without_a_flag_is_found(world: World) -> None:
    world.copies *= 2

    assert ["mails_come_once_or_say_so"] == world.broken_invariants()


def test_a_second_copy_that_is_flagged_is_no_violation(world: World) -> None:
    world.copies *= 2
    world.mailbox |= {"possibly_duplicated": True}

    assert [] == world.broken_invariants()


def test_a_second_copy_with_a_message_id_of_its_own_is_found(world: World) -> None:
    world.copies.append(Copy(EMAIL, "run 0", "<b@x>", 102.0))
    world.mailbox |= {"possibly_duplicated": True}

    assert ["mails_come_once_or_say_so"] == world.broken_invariants()


def test_a_delivered_mail_that_never_arrived_is_found(world: World) -> None:
    world.copies = []

    assert ["mails_come_once_or_say_so"] == world.broken_invariants()


def test_a_wrong_counter_is_found(world: World) -> None:
    world.message |= {"good_count": 1}

    assert ["counters_are_what_they_count"] == world.broken_invariants()


def test_a_held_message_that_was_delivered_is_found(world: World) -> None:
    world.ending = Ending.APPROVED
    world.message |= {"case_state": "approved"}
    world.history.note_decision(0, CaseState.APPROVED)

    assert ["what_is_held_leaks_nothing"] == world.broken_invariants()


@pytest.mark.parametrize(("fault", "broken"), [(Fault.FLUSHALL, ["intake_never_falters"]), (Fault.KILL_POSTGRES, [])])
def test_a_503_is_allowed_without_a_database_and_not_without_redis(
    world: World, fault: Fault, broken: list[str]
) -> None:
    world.fault = fault
    world.history.note_answer(ClientAnswer(0, 503, took_s=1.6))
    world.history.note_answer(ClientAnswer(0, 201, MESSAGE_ID))

    assert broken == world.broken_invariants()


@pytest.mark.parametrize(
    ("answer", "fault", "broken"),
    [
        (ClientAnswer(0, None), Fault.FREEZE_POSTGRES, True),
        (ClientAnswer(0, 500), Fault.KILL_POSTGRES, True),
        (ClientAnswer(0, 503, took_s=4.5), Fault.FREEZE_POSTGRES, True),
        (ClientAnswer(0, 503, asked_at=109.0), Fault.KILL_POSTGRES, False),
        (ClientAnswer(0, 503, asked_at=111.0), Fault.KILL_POSTGRES, True),
        (ClientAnswer(0, None), Fault.KILL_API, False),
    ],
)
def test_the_api_has_to_answer_in_time_whatever_postgresql_does(
    world: World, answer: ClientAnswer, fault: Fault, *, broken: bool
) -> None:
    world.fault = fault
    world.history.healed_at = 100.0
    world.history.note_answer(answer)
    world.history.note_answer(ClientAnswer(0, 201, MESSAGE_ID))

    assert (["the_api_answers_in_time"] if broken else []) == world.broken_invariants()


@pytest.mark.parametrize(
    ("point", "broken"),
    [(CrashPoint.ACCEPT_WRITTEN, []), (CrashPoint.RULE_WRITTEN, ["intake_never_falters"])],
)
def test_a_503_is_allowed_while_the_api_crashes_and_not_while_a_command_does(
    world: World, point: CrashPoint, broken: list[str]
) -> None:
    world.fault, world.point = Fault.CRASH_POINT, point
    world.history.note_answer(ClientAnswer(0, 503, took_s=1.6))
    world.history.note_answer(ClientAnswer(0, 201, MESSAGE_ID))

    assert broken == world.broken_invariants()


def test_a_mail_that_no_client_ordered_is_found(world: World) -> None:
    world.copies.append(Copy("unknown@good.example", "run 7", "<c@x>", 102.0))

    assert ["nothing_unordered"] == world.broken_invariants()
