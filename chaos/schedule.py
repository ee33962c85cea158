"""The schedule of a trial, drawn from a seed alone: the same seed draws the same schedule."""

import random
from dataclasses import dataclass
from enum import StrEnum

from delivery.crash_points import CrashAction, CrashPoint

LARGEST = 200
_LONGEST_LIST = 25
LOAD_S = 3.0
_HOSTILE_SHARE = 0.35


class Pool(StrEnum):
    """The kinds of accounts that a trial writes to."""

    INBOX = "inbox"
    EMAIL = "email"
    CLOSED = "closed"
    REFUSING = "refusing"
    BUSY = "busy"


class Ending(StrEnum):
    """How a message is to end."""

    PLAIN = "plain"
    HELD = "held"
    """It is held, and stays so."""
    APPROVED = "approved"
    """It is held, then approved while faults happen."""
    REJECTED = "rejected"
    """It is held, then rejected."""
    FAULTY = "faulty"
    """It names an unknown account and must be answered 400."""
    DIRECT = "direct"
    """It goes through the queue `accept`, which the broker may lose."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One message: when it is sent (seconds from the start), to which accounts (pool and number), and how."""

    number: int
    at_s: float
    recipients: tuple[tuple[Pool, int], ...]
    ending: Ending
    is_keyed: bool
    wait_s: int


class Fault(StrEnum):
    """What can happen to a running Postroom."""

    KILL_API = "kill_api"
    KILL_DECIDE = "kill_decide"
    KILL_SMTP = "kill_smtp"
    KILL_WORKERS = "kill_workers"
    KILL_ALL = "kill_all"
    KILL_POSTGRES = "kill_postgres"
    KILL_VALKEY = "kill_valkey"
    FLUSHALL = "flushall"
    FREEZE_API = "freeze_api"
    FREEZE_DECIDE = "freeze_decide"
    FREEZE_SMTP = "freeze_smtp"
    FREEZE_POSTGRES = "freeze_postgres"
    FREEZE_VALKEY = "freeze_valkey"
    CUT_POSTGRES = "cut_postgres"
    CUT_COMMIT = "cut_commit"
    DEAF_POSTGRES = "deaf_postgres"
    DELAY_POSTGRES = "delay_postgres"
    CUT_VALKEY = "cut_valkey"
    DEAF_VALKEY = "deaf_valkey"
    DELAY_VALKEY = "delay_valkey"
    SLICE_VALKEY = "slice_valkey"
    CUT_SMTP = "cut_smtp"
    DEAF_SMTP = "deaf_smtp"
    SLICE_SMTP = "slice_smtp"
    FORGED_BELLS = "forged_bells"
    LEAP = "leap"
    """Half a minute passes in an instant: leases expire while workers still hold them."""
    CRASH_POINT = "crash_point"


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault: when it begins, how long it lasts if it does, and which crash point it fires."""

    fault: Fault
    at_s: float
    lasts_s: float = 1.0
    point: CrashPoint | None = None
    hit: int = 1
    action: CrashAction = CrashAction.KILL

    @property
    def name(self) -> str:
        """Its name in the table."""
        return f"{self.point}:{self.hit}:{self.action}" if self.point else str(self.fault)

    @property
    def is_migration(self) -> bool:
        """Whether it hits a migration; such a trial sends no message."""
        return self.point is not None and self.point.startswith("migration_")

    @property
    def is_review(self) -> bool:
        """Whether it hits a command of a reviewer."""
        return self.point is not None and self.point.startswith(("rule_", "undo_"))


@dataclass(frozen=True, slots=True)
class Schedule:
    """One trial."""

    seed: int
    messages: tuple[Planned, ...]
    faults: tuple[PlannedFault, ...]
    hostility: float
    is_swept: bool = True
    """False: bells alone must settle everything, before any sweep comes."""
    is_focused: bool = False
    """It was drawn around given faults: its seed alone does not draw it again."""


_SELDOM = ("migration_", "rule_", "undo_", "apply_", "direct_", "lease_expiry_", "sweep_")
RANDOM_POINTS = tuple(point for point in CrashPoint if not point.startswith(_SELDOM))
"""Crash points that processes pass under any load, without another fault."""


def is_often(point: CrashPoint) -> bool:
    """Return whether processes pass this point more than once under any load."""
    return not point.startswith((*_SELDOM, "vet_", "decide_"))


def draw(seed: int, largest: int = LARGEST) -> Schedule:
    """Draw a trial with one to three faults."""
    rng = random.Random(seed)
    messages = draw_messages(rng, rng.randint(min(20, largest), largest))
    faults = tuple(_draw_fault(rng) for _ in range(rng.randint(1, 3)))
    hostility = 0.3 if rng.random() < _HOSTILE_SHARE else 0.0
    return Schedule(seed, messages, _one_crash(sorted(faults, key=lambda fault: fault.at_s)), hostility)


def draw_focused(seed: int, faults: tuple[PlannedFault, ...], *, count: int = 40, load_s: float = LOAD_S) -> Schedule:
    """Draw a trial around these faults."""
    rng = random.Random(seed)
    return Schedule(seed, draw_messages(rng, count, load_s), faults, hostility=0.0, is_focused=True)


def draw_messages(rng: random.Random, count: int, load_s: float = LOAD_S) -> tuple[Planned, ...]:
    """Draw so many messages over the first seconds."""
    return tuple(_draw_message(rng, number, load_s) for number in range(count))


def _draw_message(rng: random.Random, number: int, load_s: float) -> Planned:
    ending = rng.choices(list(Ending), weights=[80, 3, 5, 2, 5, 5])[0]
    # The first of each kind are certain, so that every trial has what its checker looks for.
    ending = list(Ending)[number] if number < len(Ending) else ending
    size = min(_LONGEST_LIST, 1 + int(rng.expovariate(1 / 6)))
    pools = rng.choices(list(Pool), weights=[50, 40, 5, 3, 2], k=size)
    recipients = dict.fromkeys((pool, rng.randrange(_LONGEST_LIST)) for pool in pools)
    return Planned(number, rng.uniform(0, load_s), tuple(recipients), ending, rng.random() < 0.8, rng.choice((0, 0, 2)))


def _draw_fault(rng: random.Random) -> PlannedFault:
    fault = rng.choice(list(Fault))
    at_s, lasts_s = rng.uniform(0.3, LOAD_S - 0.5), rng.uniform(0.3, 2.5)
    if fault is not Fault.CRASH_POINT:
        return PlannedFault(fault, at_s, lasts_s)
    action = rng.choices(list(CrashAction), weights=[3, 1, 1])[0]
    point = rng.choice(RANDOM_POINTS)
    return PlannedFault(fault, 0.0, lasts_s, point, rng.choice((1, 1, 2, 5) if is_often(point) else (1,)), action)


def _one_crash(faults: list[PlannedFault]) -> tuple[PlannedFault, ...]:
    """Keep one crash point at most: a process is armed with one."""
    crashes = [fault for fault in faults if fault.point]
    return tuple(fault for fault in faults if fault.point is None or fault is crashes[0])
