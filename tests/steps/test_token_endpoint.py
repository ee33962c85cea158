"""`POST /oauth/token`, as existing clients use it."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.credentials import PAST, minted, text_of
from tests.support.fixtures import Fixtures
from worker.embedded import demo

SECRET = CredentialKind.CLIENT_SECRET
PATH = "/oauth/token"
GRANT = {"grant_type": "client_credentials"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
Form = dict[str, str]


@pytest.fixture
def form(fixtures: Fixtures, settings: Settings) -> Form:
    """Return the form of a client with all scopes."""
    return {**GRANT, "client_id": str(fixtures.client_id), "client_secret": text_of(minted(fixtures, settings, SECRET))}


def basic(form: Form) -> tuple[str, str]:
    """Return id and secret of a form as Basic credentials."""
    return form["client_id"], form["client_secret"]


def assert_refused(answer: httpx2.Response, status: int, error: str) -> None:
    """Check that an error has the fields of RFC 6749 and ours."""
    content = answer.json()
    assert (status, error) == (answer.status_code, content["error"])
    assert [content["error_description"]] == content["error_messages"]
    assert (0, answer.headers["X-Request-Id"]) == (content["success"], content["request_id"])
    assert ("no-store", "no-cache") == (answer.headers["Cache-Control"], answer.headers["Pragma"])


@pytest.mark.parametrize("path", [PATH, f"/v2{PATH}"])
def test_a_form_gets_a_token_that_gets_in(http: httpx2.Client, form: Form, path: str) -> None:
    answer = http.post(path, data=form)

    content = answer.json()
    assert 200 == answer.status_code
    assert {"access_token", "expires_in", "token_type", "scope"} == set(content)
    assert (3600, "Bearer", " ".join(Scope)) == (content["expires_in"], content["token_type"], content["scope"])
    assert ("no-store", "no-cache") == (answer.headers["Cache-Control"], answer.headers["Pragma"])
    read = http.get("/messages", headers={"Authorization": f"Bearer {content['access_token']}"})
    assert 200 == read.status_code


def test_php_posts_its_array_as_multipart(http: httpx2.Client, form: Form) -> None:
    answer = http.post(PATH, files={name: (None, value) for name, value in form.items()})

    assert (200, "Bearer") == (answer.status_code, answer.json()["token_type"])


def test_basic_credentials_get_a_token(http: httpx2.Client, form: Form) -> None:
    assert 200 == http.post(PATH, data=GRANT, auth=basic(form)).status_code


def test_basic_credentials_may_be_form_encoded_first_and_the_id_repeated(http: httpx2.Client, form: Form) -> None:
    encoded = ":".join(quote(each, safe="").replace("-", "%2D") for each in basic(form))
    headers = {"Authorization": "basic " + base64.b64encode(encoded.encode()).decode()}

    answer = http.post(PATH, data={**GRANT, "client_id": form["client_id"]}, headers=headers)

    assert 200 == answer.status_code


def test_a_token_has_the_scopes_that_were_asked_for_and_no_others(http: httpx2.Client, form: Form) -> None:
    content = http.post(PATH, data={**form, "scope": "message.send  account.read"}).json()

    read = http.get("/messages", headers={"Authorization": f"Bearer {content['access_token']}"})
    assert ("message.send account.read", 403) == (content["scope"], read.status_code)


def test_a_secret_may_be_narrower_than_its_client(
    http: httpx2.Client, form: Form, fixtures: Fixtures, settings: Settings
) -> None:
    narrow = {**form, "client_secret": text_of(minted(fixtures, settings, SECRET, scopes=[Scope.MESSAGE_SEND]))}

    assert "message.send" == http.post(PATH, data=narrow).json()["scope"]
    assert_refused(http.post(PATH, data={**narrow, "scope": "message.read"}), 400, "invalid_scope")


@pytest.mark.parametrize("scope", ["message.forward", "message.send message.forward", "MESSAGE.SEND", " ", "\u00e9"])
def test_an_unknown_scope_is_refused(http: httpx2.Client, form: Form, scope: str) -> None:
    assert_refused(http.post(PATH, data={**form, "scope": scope}), 400, "invalid_scope")


def test_a_client_that_may_do_nothing_gets_no_token(http: httpx2.Client, form: Form, fixtures: Fixtures) -> None:
    fixtures.run_sql("UPDATE client SET scopes = '{}'")

    assert_refused(http.post(PATH, data=form), 400, "invalid_scope")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "CLIENT_CREDENTIALS"])
def test_another_grant_is_not_supported(http: httpx2.Client, form: Form, grant: str) -> None:
    assert_refused(http.post(PATH, data={**form, "grant_type": grant}), 400, "unsupported_grant_type")


@pytest.mark.parametrize("grant", [{}, {"grant_type": ""}])
def test_a_missing_grant_is_an_invalid_request(http: httpx2.Client, form: Form, grant: Form) -> None:
    rest = {name: value for name, value in form.items() if name != "grant_type"}

    assert_refused(http.post(PATH, data={**rest, **grant}), 400, "invalid_request")


@pytest.mark.parametrize("field", ["grant_type", "client_id", "client_secret", "scope"])
def test_a_field_given_twice_is_an_invalid_request(http: httpx2.Client, form: Form, field: str) -> None:
    twice = httpx2.QueryParams({**form, "scope": "message.send"}).add(field, "x")

    assert_refused(http.post(PATH, content=str(twice), headers=FORM_TYPE), 400, "invalid_request")


@pytest.mark.parametrize("content", ["grant_type=%FF", "\ufeffgrant_type=x", "a=1&a=2"])
def test_a_malformed_form_is_an_invalid_request(http: httpx2.Client, content: str) -> None:
    assert_refused(http.post(PATH, content=content.encode(), headers=FORM_TYPE), 400, "invalid_request")


def test_a_file_is_no_secret(http: httpx2.Client, form: Form) -> None:
    answer = http.post(PATH, data={"grant_type": form["grant_type"]}, files={"client_secret": ("a", b"x")})

    assert_refused(answer, 400, "invalid_request")


def test_a_secret_in_the_header_and_in_the_form_is_an_invalid_request(http: httpx2.Client, form: Form) -> None:
    assert_refused(http.post(PATH, data=form, auth=basic(form)), 400, "invalid_request")


def test_two_clients_at_once_are_an_invalid_request(http: httpx2.Client, form: Form) -> None:
    other = {**GRANT, "client_id": "somebody else"}

    assert_refused(http.post(PATH, data=other, auth=basic(form)), 400, "invalid_request")


def test_two_authorization_headers_are_an_invalid_request(http: httpx2.Client, form: Form) -> None:
    headers = [("Authorization", "Basic YTpi"), ("Authorization", "Basic YTpi")]

    assert_refused(http.post(PATH, data=form, headers=headers), 400, "invalid_request")


@pytest.mark.parametrize(
    "authorization", ["Basic YTpi", "Basic", "Basic !!!!", "Basic YTpi garbage", "Basic /w==", "Bearer x", "Digest x"]
)
def test_a_bad_header_is_an_invalid_client(http: httpx2.Client, authorization: str) -> None:
    answer = http.post(PATH, data=GRANT, headers={"Authorization": authorization})

    assert_refused(answer, 401, "invalid_client")
    assert 'Basic realm="Service"' == answer.headers["WWW-Authenticate"]


def test_everything_but_the_right_secret_of_this_client_is_an_invalid_client(
    http: httpx2.Client, form: Form, fixtures: Fixtures, settings: Settings
) -> None:
    expired = minted(fixtures, settings, SECRET, lifetime=PAST)
    changes: list[Any] = [
        {"client_secret": ""},
        {"client_secret": "garbage"},
        {"client_secret": form["client_secret"][:-1] + "!"},
        {"client_secret": f"cs_{'0' * 16}_{'A' * 43}"},
        {"client_secret": text_of(expired)},
        {"client_secret": text_of(minted(fixtures, settings))},
        {"client_id": str(fixtures.client())},
        {"client_id": "a client"},
        {"client_id": ""},
    ]

    answers = [http.post(PATH, data={**form, **change}) for change in changes]

    for answer in answers:
        assert_refused(answer, 401, "invalid_client")
    assert 1 == len({answer.json()["error_description"] for answer in answers})


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_what_is_no_form_is_unsupported(http: httpx2.Client, content_type: str) -> None:
    answer = http.post(PATH, content=b"{}", headers={"Content-Type": content_type} if content_type else {})

    assert (415, "unsupported_media_type") == (answer.status_code, answer.json()["error"])


def test_id_and_secret_in_the_query_count_for_nothing(http: httpx2.Client, form: Form) -> None:
    assert_refused(http.post(PATH, params=form, data=GRANT), 401, "invalid_client")


def test_neither_the_secret_nor_the_token_is_stored(http: httpx2.Client, form: Form, fixtures: Fixtures) -> None:
    token = http.post(PATH, data=form).json()["access_token"]

    stored = str(fixtures.run_sql("SELECT prefix, encode(digest, 'escape') FROM credential"))

    assert not [secret for secret in (token, form["client_secret"]) if secret[20:] in stored]


def test_the_secret_of_the_demo_client_works(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, tmp_path: Path
) -> None:
    demo.seed(fixtures.database)
    told = demo.credentials(fixtures.database, settings, tmp_path / "demo.json")

    answer = http.post(PATH, data={**GRANT, "client_id": told["client_id"], "client_secret": told["client_secret"]})

    assert 200 == answer.status_code
