"""The OpenAPI document is valid, and answers to requests that schemathesis makes from it are as it says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest
import schemathesis

from delivery.records.database import Database
from delivery.settings import Settings
from tests.corpus.environment import CorpusEnvironment, prepare_environment
from tests.support import build
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.xdist_group("openapi")

# No document can say which accounts exist, which texts are blank and which secret is right.
_EXCLUDED_CHECK = "positive_data_acceptance"
_SECONDS = 120


@pytest.fixture
def environment(base_settings: Settings, database: Database) -> Iterator[CorpusEnvironment]:
    """Yield an API with accounts, messages and keys."""
    with prepare_environment(base_settings, Fixtures(database)) as ready:
        yield ready


def test_every_generated_request_gets_an_answer_that_the_document_describes(
    environment: CorpusEnvironment, tmp_path: Path
) -> None:
    result = _run_schemathesis(environment, tmp_path, "--max-examples", "30")

    assert 0 == result.returncode, result.stdout


def test_the_document_is_valid_openapi_3_1(environment: CorpusEnvironment) -> None:
    document = httpx2.get(_url(environment)).json()

    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("MessageList", "/messages"),
        ("MessageDetail", "/messages/{message}"),
        ("Inbox", "/accounts/{inbox}/inbox"),
        ("AccountDetail", "/accounts/{inbox}"),
        ("PreferencesDetail", "/accounts/{inbox}/preferences"),
        ("Health", "/readyz"),
    ],
)
def test_a_successful_answer_matches_its_schema(environment: CorpusEnvironment, schema: str, path: str) -> None:
    document = httpx2.get(_url(environment)).json()

    answer = httpx2.get(_url(environment, path.format_map(environment.values)), headers=_key(environment))

    assert 200 == answer.status_code
    _check(document, schema, answer)


def test_the_answer_to_a_message_matches_its_schema(environment: CorpusEnvironment) -> None:
    document = httpx2.get(_url(environment)).json()

    answer = httpx2.post(
        _url(environment, "/messages"),
        json=build.fields(recipient_uuids=[environment.values["inbox"]]),
        headers=_key(environment),
    )

    assert 201 == answer.status_code
    _check(document, "MessageCreated", answer)


def test_the_document_lists_every_encoding_and_every_status_of_sending_a_message(
    environment: CorpusEnvironment,
) -> None:
    paths = httpx2.get(_url(environment)).json()["paths"]

    send, token = paths["/messages"]["post"], paths["/oauth/token"]["post"]

    forms = ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert ["application/json", *forms] == list(send["requestBody"]["content"])
    assert forms[:1] == list(token["requestBody"]["content"])
    assert "201 400 401 403 409 413 415 422 429 500 503" == " ".join(sorted(send["responses"]))
    assert [{"api_key": []}, {"bearer": ["message.send"]}] == send["security"]


def _check(document: dict[str, Any], schema: str, answer: httpx2.Response) -> None:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(answer.json())


def _key(environment: CorpusEnvironment) -> dict[str, str]:
    return {"X-API-Key": environment.values["key"], "Prefer": "respond-async"}


def _run_schemathesis(environment: CorpusEnvironment, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis on the API as its users do, with the same requests each time."""
    program = [str(Path(sys.executable).with_name("schemathesis")), "run", _url(environment)]
    options = ["--seed", "1", "--generation-deterministic", "--no-color", "--no-shrink", "--warnings", "off"]
    headers = [part for name, value in _key(environment).items() for part in ("-H", f"{name}: {value}")]
    command = [*program, *options, *headers, "--exclude-checks", _EXCLUDED_CHECK, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)


def _url(environment: CorpusEnvironment, path: str = "/openapi.json") -> str:
    return f"http://127.0.0.1:{environment.port}{path}"
