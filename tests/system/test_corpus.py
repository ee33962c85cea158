"""The served API answers the hostile corpus as the contract says, and stores nothing by mistake."""

import json
from collections.abc import Iterator, Sequence
from statistics import median
from time import monotonic
from uuid import UUID

import pytest
from pydantic import SecretStr

from delivery.records.database import open_database
from delivery.settings import Settings
from tests.corpus.cases import MARK, ExpectedAnswer, HostileRequest, read_corpus
from tests.corpus.environment import CorpusEnvironment, prepare_environment
from tests.corpus.raw_client import RawAnswer, exchange
from tests.support.fixtures import Fixtures
from tests.support.servers import Servers

pytestmark = pytest.mark.xdist_group("corpus")

_CORPUS = read_corpus()
# Headers that RFC 9110, RFC 6750 and the contract require with these statuses.
_REQUIRED_HEADERS = {
    201: ("location",),
    401: ("www-authenticate",),
    403: ("www-authenticate",),
    405: ("allow",),
    409: ("retry-after",),
    429: ("retry-after",),
    503: ("retry-after",),
}
_LARGEST_ANSWER_BYTES = 16 * 1024
# The contract says 100 ms. A busy machine gets thirty times that; quadratic work would take far longer.
_PATIENCE_S = 3.0
_TRIES = 3
_took_s: dict[str, float] = {}


@pytest.fixture(scope="module")
def environment(servers: Servers, base_settings: Settings, worker_number: int) -> Iterator[CorpusEnvironment]:
    """Yield an API with a database of this file's own, so that its rows can be counted."""
    url = SecretStr(servers.create_database(f"corpus_{worker_number}"))
    settings = base_settings.model_copy(update={"database_url": url})
    database = open_database(settings, connections=2)
    with prepare_environment(settings, Fixtures(database)) as ready:
        yield ready
    database.dispose()


@pytest.mark.parametrize("case", _CORPUS, ids=lambda case: case.name)
def test_a_hostile_request_gets_its_answer_and_changes_nothing_else(
    environment: CorpusEnvironment, case: HostileRequest
) -> None:
    for each in case.requests_before(environment.values):
        assert [201] == [answer.status for answer in exchange(environment.port, each, answers=1)]
    request = case.request(environment.values)
    before = environment.counts()

    started_at = monotonic()
    answers = exchange(environment.port, request, answers=len(case.answers), ends=case.ends)
    _took_s[case.name] = monotonic() - started_at

    _check_answers(case, answers)
    assert case.stored == environment.counts()["message"] - before["message"]
    if case.stored == 0 and not request.startswith(b"PUT"):
        assert before == environment.counts()


def test_the_corpus_has_at_least_250_cases_with_unique_names() -> None:
    names = {case.name for case in _CORPUS}

    assert len(names) == len(_CORPUS) >= 250


def test_no_hostile_request_keeps_the_api_busy(environment: CorpusEnvironment) -> None:
    slowest = sorted(_took_s, key=_took_s.__getitem__)[-10:]
    cases = [case for case in _CORPUS if case.name in slowest]

    took_s = {case.name: median(_time(environment, case) for _ in range(_TRIES)) for case in cases}

    for name, seconds in sorted(took_s.items(), key=lambda each: -each[1]):
        print(f"{seconds * 1000:7.1f} ms  {name}")  # noqa: T201 - for people who run `pytest -s`
    assert {} == {name: seconds for name, seconds in took_s.items() if seconds > _PATIENCE_S}


def _time(environment: CorpusEnvironment, case: HostileRequest) -> float:
    request = case.request(environment.values)
    started_at = monotonic()
    exchange(environment.port, request, answers=len(case.answers), ends=case.ends)
    return monotonic() - started_at


def _check_answers(case: HostileRequest, answers: Sequence[RawAnswer]) -> None:
    if not answers and case.answers[0].status is None:
        return
    assert [each.status or 400 for each in case.answers] == [answer.status for answer in answers]
    for expected, answer in zip(case.answers, answers, strict=True):
        _check_headers(answer)
        if answer.status >= 400 and not case.told.get("to", "").startswith("HEAD"):
            _check_error(expected, answer)
    headers = answers[-1].headers
    assert case.headers == {name: headers.get(name.lower()) for name in case.headers}


def _check_headers(answer: RawAnswer) -> None:
    assert UUID(answer.headers["x-request-id"])
    assert [] == [name for name in _REQUIRED_HEADERS.get(answer.status, ()) if name not in answer.headers]
    assert len(answer.body) <= _LARGEST_ANSWER_BYTES or answer.status == 200


def _check_error(expected: ExpectedAnswer, answer: RawAnswer) -> None:
    content = answer.content
    assert "application/json" == answer.headers["content-type"]
    assert (0, answer.headers["x-request-id"]) == (content["success"], content["request_id"])
    assert content["error_messages"]
    assert all(isinstance(each, str) and each for each in content["error_messages"])
    faults = [(each["field"], each["code"]) for each in content.get("errors", [])]
    assert list(expected.faults) == [fault for fault in faults if expected.faults]
    if expected.error:
        assert (expected.error, content["error_messages"]) == (content["error"], [content["error_description"]])
    text = json.dumps(content)
    assert MARK.lower() not in text.lower()
    assert answer.body.isascii()
