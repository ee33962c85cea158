"""Clients that common generators make from the OpenAPI document send a message, and a linter finds no error in it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from delivery.records.database import Database
from delivery.settings import Settings
from tests.corpus.environment import CorpusEnvironment, prepare_environment
from tests.support.fixtures import Fixtures
from tests.support.generated_clients import REDOCLY, install_from_npm, install_python, install_typescript, run

# Each installs a generator first, which downloads packages.
pytestmark = [pytest.mark.xdist_group("generated_clients"), pytest.mark.timeout(300)]

_PROGRAMS = Path(__file__).parent.parent / "programs"
_SENT = {
    "sender_name": "Zoë",
    "sender_email": "zoe@example.com",
    "subject": "Ein Auftrag & mehr",
    "body": "a=1&b\n",
    "type": "job",
}


@pytest.fixture
def environment(base_settings: Settings, database: Database) -> Iterator[CorpusEnvironment]:
    """Yield an API with accounts and credentials."""
    with prepare_environment(base_settings, Fixtures(database)) as ready:
        yield ready


def test_a_client_by_openapi_python_client_sends_in_each_encoding(
    environment: CorpusEnvironment, tmp_path: Path
) -> None:
    programs = install_python(tmp_path)
    base_url = _save_document(environment, tmp_path)
    values = environment.values
    facts = {name: values[name] for name in ("key", "client_id", "client_secret")} | {"recipient": values["inbox"]}

    options = ["--path", "openapi.json", "--meta", "none", "--output-path", "postroom_client", "--fail-on-warning"]
    run(programs, ["openapi-python-client", "generate", *options], folder=tmp_path)
    shutil.copy(_PROGRAMS / "by_openapi_python_client.py", tmp_path)
    command = ["python", "by_openapi_python_client.py", base_url]
    answers = json.loads(run(programs, command, folder=tmp_path, stdin=json.dumps(facts)))

    assert ["json", "form", "multipart"] == list(answers)
    for answer in answers.values():
        assert 201 == answer["status"], answer
        _check_stored(answer["data"], values["inbox"])


def test_a_client_by_openapi_typescript_compiles_and_sends(environment: CorpusEnvironment, tmp_path: Path) -> None:
    programs = install_typescript(tmp_path)
    base_url = _save_document(environment, tmp_path)
    facts = [environment.values[name] for name in ("client_id", "client_secret", "inbox")]

    run(programs, ["openapi-typescript", "openapi.json", "--output", "schema.d.ts"], folder=tmp_path)
    shutil.copy(_PROGRAMS / "by_openapi_fetch.ts", tmp_path)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"]
    run(programs, ["tsc", *options, "by_openapi_fetch.ts"], folder=tmp_path)
    node = Path(shutil.which("node") or "node")
    printed = json.loads(run(node.parent, [node.name, "by_openapi_fetch.js", base_url, *facts], folder=tmp_path))

    assert 201 == printed["status"]
    _check_stored(printed["data"], environment.values["inbox"])


def test_redocly_finds_no_error_in_the_document(environment: CorpusEnvironment, tmp_path: Path) -> None:
    programs = install_from_npm(tmp_path, *REDOCLY)
    _save_document(environment, tmp_path)

    printed = run(programs, ["redocly", "lint", "--format", "json", "openapi.json"], folder=tmp_path)

    totals = json.loads(printed)["totals"]
    assert 0 == totals["errors"], printed


def _save_document(environment: CorpusEnvironment, folder: Path) -> str:
    """Save the OpenAPI document where the generators read it, and return the base URL of the API."""
    base_url = f"http://127.0.0.1:{environment.port}"
    (folder / "openapi.json").write_bytes(httpx2.get(f"{base_url}/openapi.json").content)
    return base_url


def _check_stored(data: dict[str, object], recipient: str) -> None:
    assert {**_SENT, "recipient_uuids": [recipient]} == {name: data[name] for name in (*_SENT, "recipient_uuids")}
