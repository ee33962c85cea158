"""The OpenAPI document, as generators of clients read it."""

import json

import pytest

from api_stub.app import make_http_app
from delivery.intake.accounts import ACCOUNT, PREFERENCES, SENDERS_LIMIT
from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.messages import BODY_LIMIT, MESSAGE, RECIPIENT_LIMIT, SENDER_NAME_LIMIT, SUBJECT_LIMIT
from delivery.intake.shapes import Shape
from tests.support import build


def test_operations_are_named_in_plain_words_and_each_once() -> None:
    document = make_http_app(build.settings()).openapi()

    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert {"send_message", "read_message", "read_account", "put_preferences", "grant_token"} <= set(names)
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalpha() and "uuid" not in name for name in names)


@pytest.mark.parametrize(
    ("path", "schemas"),
    [
        (
            "/messages",
            {
                "application/json": "MessageFields",
                "application/x-www-form-urlencoded": "MessageForm",
                "multipart/form-data": "MessageMultipart",
            },
        ),
        ("/oauth/token", {"application/x-www-form-urlencoded": "TokenForm"}),
    ],
)
def test_each_encoding_of_a_body_has_a_schema_of_its_own_name(path: str, schemas: dict[str, str]) -> None:
    document = make_http_app(build.settings()).openapi()

    content = document["paths"][path]["post"]["requestBody"]["content"]

    references = {
        media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}} for media_type, name in schemas.items()
    }
    assert references == content
    assert set(schemas.values()) <= document["components"]["schemas"].keys()


@pytest.mark.parametrize("name", ["MessageForm", "MessageMultipart", "TokenForm"])
def test_a_form_has_no_null_and_no_choice_of_types(name: str) -> None:
    schema = make_http_app(build.settings()).openapi()["components"]["schemas"][name]

    assert name == schema["title"]
    assert {"string", "array", None} >= {each.get("type") for each in schema["properties"].values()}
    assert "null" not in json.dumps(schema)
    assert "anyOf" not in json.dumps(schema)


def test_a_form_has_the_fields_and_limits_of_the_same_body_in_json() -> None:
    schemas = make_http_app(build.settings()).openapi()["components"]["schemas"]

    in_json, form = schemas["MessageFields"], schemas["MessageForm"]

    assert list(in_json["properties"]) == list(form["properties"])
    assert in_json["required"] == form["required"]
    recipients = form["properties"]["recipient_uuids"]
    assert ("array", 1, RECIPIENT_LIMIT) == (recipients["type"], recipients["minItems"], recipients["maxItems"])
    assert BODY_LIMIT == form["properties"]["body"]["maxLength"]
    assert ["rfq", "job", "other", ""] == form["properties"]["type"]["enum"]


def test_every_operation_names_its_credentials_or_says_that_it_needs_none() -> None:
    document = make_http_app(build.settings()).openapi()

    security = {
        operation["operationId"]: operation["security"]
        for path in document["paths"].values()
        for operation in path.values()
    }

    assert {"ask_whether_alive", "ask_whether_ready"} == {name for name, each in security.items() if each == []}


def test_the_document_names_a_server_so_that_a_path_is_one_of_the_host_that_served_it() -> None:
    assert [{"url": "/"}] == make_http_app(build.settings()).openapi()["servers"]


@pytest.mark.parametrize(
    ("path", "method", "shape"),
    [
        ("/accounts/{account_uuid}", "put", "AccountFields"),
        ("/accounts/{account_uuid}/preferences", "put", "PreferencesFields"),
    ],
)
def test_a_request_body_is_described_by_the_shape_that_reads_it(path: str, method: str, shape: str) -> None:
    document = make_http_app(build.settings()).openapi()

    content = document["paths"][path][method]["requestBody"]["content"]

    assert {f"#/components/schemas/{shape}"} == {each["schema"]["$ref"] for each in content.values()}
    assert shape == document["components"]["schemas"][shape]["title"]


def test_the_document_has_the_limits_that_the_fields_are_checked_by() -> None:
    schemas = make_http_app(build.settings()).openapi()["components"]["schemas"]

    message, preferences = schemas["MessageFields"]["properties"], schemas["PreferencesFields"]["properties"]

    recipients = message["recipient_uuids"]["anyOf"][0]
    assert (1, RECIPIENT_LIMIT) == (recipients["minItems"], recipients["maxItems"])
    assert [SENDER_NAME_LIMIT, SUBJECT_LIMIT, BODY_LIMIT] == [
        message[name]["maxLength"] for name in ("sender_name", "subject", "body")
    ]
    assert ["rfq", "job", "other", "", None] == message["type"]["enum"]
    assert (["array", "null"], SENDERS_LIMIT) == (
        preferences["allowed_senders"]["type"],
        preferences["allowed_senders"]["maxItems"],
    )
    assert ["from", "until"] == preferences["quiet_hours"]["required"]


@pytest.mark.parametrize(
    ("shape", "required"),
    [
        (MESSAGE, ["recipient_uuids", "sender_name", "subject", "body"]),
        (ACCOUNT, ["name", "email"]),
        (PREFERENCES, []),
    ],
)
def test_the_fields_that_are_required_are_those_that_are_refused_when_absent(
    shape: Shape[object], required: list[str]
) -> None:
    faults: list[FieldError] = []

    try:
        shape.read({})
    except InvalidInput as error:
        faults = error.faults

    assert sorted(required) == [fault.field for fault in faults]
    assert {"required"} >= {fault.code for fault in faults}
    assert required == shape.schema.get("required", [])
