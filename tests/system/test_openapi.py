"""The OpenAPI document is valid and true: schemathesis makes requests of it, and every answer is as it says."""

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

# No document can say which accounts there are, which texts are blank and which secret is right.
_WRONG_FOR_US = "positive_data_acceptance"
_SECONDS = 120


@pytest.fixture
def stage(base_settings: Settings, database: Database) -> Iterator[CorpusEnvironment]:
    """Give a door with accounts, messages and keys behind it."""
    with prepare_environment(base_settings, Fixtures(database)) as ready:
        yield ready


def test_every_answer_is_as_the_document_says(stage: CorpusEnvironment, tmp_path: Path) -> None:
    ended = _try_out(stage, tmp_path, "--max-examples", "30")

    assert 0 == ended.returncode, ended.stdout


def test_the_document_is_valid_openapi_3_1(stage: CorpusEnvironment) -> None:
    document = httpx2.get(_url(stage)).json()

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
def test_a_good_answer_is_as_the_document_says(stage: CorpusEnvironment, schema: str, path: str) -> None:
    document = httpx2.get(_url(stage)).json()

    answer = httpx2.get(_url(stage, path.format_map(stage.values)), headers=_key(stage))

    assert 200 == answer.status_code
    _check(document, schema, answer)


def test_the_answer_to_a_message_is_as_the_document_says(stage: CorpusEnvironment) -> None:
    document = httpx2.get(_url(stage)).json()

    answer = httpx2.post(
        _url(stage, "/messages"), json=build.fields(recipient_uuids=[stage.values["inbox"]]), headers=_key(stage)
    )

    assert 201 == answer.status_code
    _check(document, "MessageCreated", answer)


def test_the_document_names_every_encoding_and_every_refusal_of_a_message(stage: CorpusEnvironment) -> None:
    paths = httpx2.get(_url(stage)).json()["paths"]

    send, token = paths["/messages"]["post"], paths["/oauth/token"]["post"]

    forms = ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert ["application/json", *forms] == list(send["requestBody"]["content"])
    assert forms == list(token["requestBody"]["content"])
    assert "201 400 401 403 409 413 415 422 429 500 503" == " ".join(sorted(send["responses"]))
    assert [{"api_key": []}, {"bearer": ["message.send"]}] == send["security"]


def _check(document: dict[str, Any], schema: str, answer: httpx2.Response) -> None:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(answer.json())


def _key(stage: CorpusEnvironment) -> dict[str, str]:
    return {"X-API-Key": stage.values["key"], "Prefer": "respond-async"}


def _try_out(stage: CorpusEnvironment, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Let schemathesis try the API as its users do, the same way each time."""
    program = [str(Path(sys.executable).with_name("schemathesis")), "run", _url(stage)]
    settled = ["--seed", "1", "--generation-deterministic", "--no-color", "--no-shrink", "--warnings", "off"]
    headers = [part for name, value in _key(stage).items() for part in ("-H", f"{name}: {value}")]
    command = [*program, *settled, *headers, "--exclude-checks", _WRONG_FOR_US, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)


def _url(stage: CorpusEnvironment, path: str = "/openapi.json") -> str:
    return f"http://127.0.0.1:{stage.port}{path}"
