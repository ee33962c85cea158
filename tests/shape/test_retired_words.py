"""Words that this project once used and gave up: each has one successor, and none comes back."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.shape.codebase import is_product, name_of, parse, python_files
from tests.shape.test_prose import Passage, prose

# Refused as any identifier, and as a word of prose in exactly this spelling.
SYMBOLS = {
    "Absentee": "MissingWorker",
    "AccountPreference": "PreferenceRow",
    "AnsweringIssuer": "IntrospectionIssuer",
    "GarbledBell": "InvalidBell",
    "IssuerLine": "IssuerClient",
    "Keyring": "CredentialVerifier",
    "LetterData": "InboxItem",
    "Letterbox": "DirectSendQueue",
    "Lookout": "VerdictWaiter",
    "Mailroom": "MailStore",
    "Minted": "NewCredential",
    "NoFreeLine": "PoolTimeout",
    "NotExpressible": "CannotEncode",
    "NotedBells": "RecordingDoorbell",
    "Registrar": "AcceptBatcher",
    "STORE_UNAVAILABLE": "DATABASE_UNAVAILABLE",
    "SharedBudget": "RedisCounter",
    "SigningIssuer": "JwtIssuer",
    "admit_search": "check_lookups",
    "are_leaving": "is_stopping",
    "be_patient": "disable_idle_timeout",
    "deliver_alone": "deliver_isolated",
    "front_of": "services_of",
    "hold_unknown": "apply_unknown_policy",
    "is_accused": "is_blamed",
    "is_alone": "is_isolated",
    "judge_answer": "classify_reply",
    "last_words": "log_tail",
    "note_dot": "record_data_end",
    "note_strangers": "count_unknown_recipients",
    "open_front": "open_services",
    "read_shown": "read_credential",
    "report_alive": "heartbeat",
    "report_gone": "deregister",
    "set_aside": "postpone",
    "take_direct_sends": "try_lock_direct_sends",
}
# Ordinary words: refused only as the name of a class or a function of the product.
DEFINITIONS = {
    "Allowance": "SharedLimit",
    "Approach": "SenderContext",
    "Arrival": "IncomingMessage",
    "Away": "RedisUnavailable",
    "Book": "Fixtures",
    "Caller": "AuthenticatedClient",
    "Candidate": "PendingRecipient",
    "Choice": "ChannelDecision",
    "Claimed": "TokenIdentity",
    "Company": "IsolationGate",
    "Contended": "LockTimeout",
    "Crank": "StepDriver",
    "Crew": "ProcessGroup",
    "Defects": "UnexpectedErrors",
    "Expected": "TokenRequirements",
    "Front": "Services",
    "Gathered": "GroupCommit",
    "Hands": "FanOut",
    "Letter": "ClaimedDelivery",
    "Line": "PooledConnection",
    "Lines": "SmtpPool",
    "Listed": "MessageList",
    "Mark": "Severity",
    "Meter": "LocalCounter",
    "Move": "Transition",
    "Notes": "AttemptJournal",
    "Office": "StepContext",
    "Paths": "RouteGuard",
    "Plant": "EmbeddedStack",
    "Preference": "DeliveryPreferences",
    "Presence": "WorkerLock",
    "Quota": "RateLimit",
    "Read": "MessageDetail",
    "Reader": "DirectSendReader",
    "Recall": "CachedLookup",
    "Repeated": "Duplicate",
    "Round": "SweepQuery",
    "Ruling": "CaseDecision",
    "Sent": "MessageCreated",
    "Sheet": "MessageRow",
    "Shown": "PresentedCredential",
    "Standing": "RecipientStatus",
    "Strange": "UnknownRecipients",
    "Tally": "WindowUsage",
    "Telling": "Explanation",
    "Trace": "JournalEntry",
    "Trap": "ArmedCrash",
    "Unacceptable": "InvalidInput",
    "Watch": "LivenessMonitor",
    "Weight": "StateClass",
    "Wire": "StrictHttpProtocol",
    "Wishes": "Preferences",
    "accuse": "blame",
    "announce": "send_envelope",
    "bury": "recover_worker",
    "chance": "jitter",
    "combine": "reduce_status",
    "conclude": "next_transition",
    "crowd": "waiting_count",
    "cut_off": "interrupted_outcome",
    "expire": "expire_reviews",
    "hire": "register",
    "judge": "apply_rules",
    "lapse": "expire_leases",
    "lapsed": "expired_leases",
    "lend": "use_pool",
    "look": "read_now",
    "may": "require_scope",
    "mint": "generate_credential",
    "note_answer": "record_reply",
    "rule": "decide_case",
    "settle": "resolve_without_network",
    "standing": "status",
    "standings": "statuses",
    "strike": "signal",
    "tend": "restart_if_dead",
    "tidy": "remove_old_journals",
}
# Metaphors: refused in prose in any spelling, and as words of test names.
PHRASES = {
    r"the book": "the domain",
    r"bur(?:y|ies|ied)": "recover, or mark as dead",
    r"(?<!bench-)doors?": "API",
    r"engine room": "worker runtime",
    r"front desk": "API",
    r"houses?": "codebase",
    r"keyrings?": "credential verifier",
    r"laps(?:e|es|ed)": "expire",
    r"letterbox(?:es)?": "direct send queue",
    r"lookouts?": "verdict waiter",
    r"mailrooms?": "mail store",
    r"mint(?:s|ed)?": "generate",
    r"offices?": "step context",
    r"registrars?": "accept batcher",
}
_PHRASE = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)
_SYMBOL = re.compile(rf"\b(?:{'|'.join(SYMBOLS)})\b")
# A word in quotation marks or backticks is cited, not used.
_CITED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|\*[^*\n]*\*")


def retired_identifiers(tree: ast.Module, *, is_product: bool) -> Iterator[tuple[int, str, str]]:
    """Yield line, old and new word of each identifier in a file that is retired."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        yield from ((line, old, SYMBOLS[old]) for old in identifiers_of(node) if old in SYMBOLS)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name.removeprefix("_")
            yield from ((line, old, DEFINITIONS[old]) for old in [name] if is_product and old in DEFINITIONS)


def identifiers_of(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers that a node holds, without those of its children."""
    for field in ("id", "attr", "arg", "name", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield from {value, value.removeprefix("_")}


def retired_prose(passage: Passage) -> Iterator[tuple[int, str, str]]:
    """Yield line, old and new word of each retired word that a passage uses."""
    text = _CITED.sub(_blank, passage.text)
    for pattern in (_PHRASE, _SYMBOL):
        for found in pattern.finditer(text):
            yield passage.first_line + text.count("\n", 0, found.start()), found[0], successor_of(found[0])


def successor_of(old: str) -> str:
    """Return the new word for a retired one as it was found in prose."""
    return SYMBOLS.get(old) or next(
        new for pattern, new in PHRASES.items() if re.fullmatch(pattern, old, re.IGNORECASE)
    )


def _blank(cited: re.Match[str]) -> str:
    return " " * len(cited[0])


def test_no_identifier_is_a_retired_word() -> None:
    found = [
        (name_of(path), *each)
        for path in python_files()
        for each in retired_identifiers(parse(path), is_product=is_product(path))
    ]

    assert [] == [f"{place}:{line}: `{old}` is now `{new}`" for place, line, old, new in found]


def test_no_prose_uses_a_retired_word() -> None:
    passages = [each for each in prose() if not each.place.startswith("docs/decisions/")]

    found = [(each.place, *one) for each in passages for one in retired_prose(each)]

    assert [] == [f"{place}:{line}: {old!r} is now {new!r}" for place, line, old, new in found]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("class Office: ...", "StepContext"),
        ("def _judge(): ...", "apply_rules"),
        ("from worker import Mailroom", "MailStore"),
        ("pool.are_leaving()", "is_stopping"),
        ("def f(set_aside): ...", "postpone"),
    ],
)
def test_a_retired_identifier_is_found(code: str, expected: str) -> None:
    assert {expected} == {new for _, _, new in retired_identifiers(ast.parse(code), is_product=True)}


def test_an_ordinary_word_is_refused_as_a_definition_of_the_product_only() -> None:
    used, defined = ast.parse("look = settle(rule=may.conclude)"), ast.parse("def look(): ...")

    assert [] == [*retired_identifiers(used, is_product=True), *retired_identifiers(defined, is_product=False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Send it.\nThe door answers.", [(2, "door", "API")]),
        ("A Lookout waits.", [(1, "Lookout", "VerdictWaiter"), (1, "Lookout", "VerdictWaiter")]),
        ("The doorbell rings; a hint is a house rule.", [(1, "house", "codebase")]),
        ("It was `Office` once.", []),
    ],
)
def test_a_retired_word_is_found_in_prose(text: str, expected: list[tuple[int, str, str]]) -> None:
    assert expected == list(retired_prose(Passage("tasks/example.py", 1, "comment", text)))
