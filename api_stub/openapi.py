"""Complete the OpenAPI document with what FastAPI cannot know: credentials, request bodies, headers and errors."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from delivery.intake.accounts import ACCOUNT, PREFERENCES
from delivery.intake.case_decisions import SHAPES as CASE_SHAPES
from delivery.intake.messages import MESSAGE
from delivery.intake.rule_changes import SHAPES as RULE_SHAPES
from delivery.intake.shapes import JsonSchema, Shape
from delivery.vocabulary import Scope

_REQUEST_SHAPES: tuple[Shape[Any], ...] = (MESSAGE, ACCOUNT, PREFERENCES, *RULE_SHAPES, *CASE_SHAPES)
# Each encoding of a body has a schema of its own name. Generators make a class of each and choose the encoding by the
# class; with one name for all, openapi-python-client sends a form with every field twice.
_SCHEMA_SUFFIXES = {
    "application/json": "Fields",
    "application/x-www-form-urlencoded": "Form",
    "multipart/form-data": "Multipart",
}
_SCHEMES = {
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key. X-Proz-API-Key is the same header by its older name.",
    },
    # No oauth2 scheme: that one must name the token endpoint by a whole URL, and a server does not know its own.
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": f"An access token of POST /oauth/token, or of a trusted issuer. Scopes: {', '.join(Scope)}.",
    },
    "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret (RFC 6749 2.3.1)."},
}


# Generated clients name their methods after these, so they never change.
_OPERATIONS = {
    "post /messages": "send_message",
    "get /messages": "list_messages",
    "get /messages/{message_uuid}": "read_message",
    "get /accounts/{account_uuid}": "read_account",
    "put /accounts/{account_uuid}": "put_account",
    "get /accounts/{account_uuid}/preferences": "read_preferences",
    "put /accounts/{account_uuid}/preferences": "put_preferences",
    "get /accounts/{account_uuid}/inbox": "read_inbox",
    "post /oauth/token": "grant_token",
    "get /rules": "list_rules",
    "get /rules/{rule_name}": "read_rule",
    "put /rules/{rule_name}/mode": "put_rule_mode",
    "get /rule-sets": "list_rule_sets",
    "get /rule-sets/{rule_set_number}": "read_rule_set",
    "get /rule-set": "read_current_rule_set",
    "put /rule-set": "put_rule_set",
    "post /rule-check": "check_rule_set",
    "get /lists": "list_word_lists",
    "get /lists/{list_name}": "read_word_list",
    "post /lists/{list_name}": "change_word_list",
    "get /policy": "read_policy",
    "put /policy": "put_policy",
    "get /vetting/cases": "list_vetting_cases",
    "get /vetting/cases/{case_uuid}": "read_vetting_case",
    "post /vetting/cases/{case_uuid}/approve": "approve_vetting_case",
    "post /vetting/cases/{case_uuid}/reject": "reject_vetting_case",
    "post /vetting/cases/{case_uuid}/undo": "undo_vetting_decision",
    "post /vetting/cases/{case_uuid}/claim": "claim_vetting_case",
    "post /vetting/cases/{case_uuid}/notes": "add_vetting_note",
    "post /vetting/cases/{case_uuid}/escalate": "escalate_vetting_case",
    "post /vetting/cases/{case_uuid}/skip": "skip_vetting_case",
    "get /vetting/standing-decisions": "list_standing_decisions",
    "post /vetting/standing-decisions": "make_standing_decision",
    "post /vetting/standing-decisions/{standing_uuid}/revoke": "revoke_standing_decision",
    "get /healthz": "ask_whether_alive",
    "get /readyz": "ask_whether_ready",
}


def _text_header(description: str) -> dict[str, Any]:
    return {"required": True, "description": description, "schema": {"type": "string"}}


_CHALLENGE = {"WWW-Authenticate": _text_header("Which credentials are required (RFC 9110 11.6.1, RFC 6750 3).")}
_RETRY_AFTER = {"Retry-After": _text_header("After how many seconds to try again.")}
_ETAG = {"ETag": _text_header("The value for If-None-Match in the next request.")}
_REQUEST_ID = {"X-Request-Id": _text_header("The id of this request, also in the log.")}
_HEADERS = {"401": _CHALLENGE, "403": _CHALLENGE, "409": _RETRY_AFTER, "429": _RETRY_AFTER, "503": _RETRY_AFTER}


class FaultData(BaseModel):
    """One fault in a request; `field` is empty for the body as a whole."""

    field: str
    code: str
    message: str


class ErrorData(BaseModel):
    """Every error. `error` names the kind of error, `errors` lists the faults in the fields."""

    success: Literal[0]
    error: str | None = None
    error_description: str | None = None
    error_messages: list[str]
    errors: list[FaultData] | None = None
    request_id: UUID


def errors(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe the errors that a route returns, for these statuses."""
    return {int(status): {"model": ErrorData, "description": status.phrase} for status in statuses}


FINAL_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorData, "description": HTTPStatus.CONFLICT.phrase, "headers": {}}
}
"""A conflict that does not pass by waiting: its answer has no Retry-After."""

GUARDED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""The error statuses of every route that requires credentials."""


def body_of(shape: Shape[Any], *media_types: str) -> dict[str, Any]:
    """Describe a request body of this shape, which a client may send in any of these encodings."""
    return _body(shape.title.removesuffix("Fields"), media_types)


def _body(name: str, media_types: Iterable[str]) -> dict[str, Any]:
    references = {each: f"#/components/schemas/{name}{_SCHEMA_SUFFIXES[each]}" for each in media_types}
    return {"required": True, "content": {each: {"schema": {"$ref": place}} for each, place in references.items()}}


TOKEN_BODY = _body("Token", ["application/x-www-form-urlencoded"])
"""The body of the token route: the encoding of RFC 6749 4.4.2 alone, although multipart/form-data works too.

openapi-python-client 0.29 makes a module that cannot be imported for a second encoding.
"""

_TOKEN_FORM: JsonSchema = {
    "title": "TokenForm",
    "type": "object",
    "properties": {
        "grant_type": {"type": "string", "enum": ["client_credentials"]},
        "client_id": {"type": "string", "description": "Here, or in Basic credentials."},
        "client_secret": {"type": "string", "description": "Here, or in Basic credentials."},
        "scope": {
            "type": "string",
            "description": "Scopes, separated by blanks; without it, all scopes of the client.",
        },
    },
    "required": ["grant_type"],
}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe an optional request header."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe an optional query parameter."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def guarded_by(scope: Scope) -> list[dict[str, list[str]]]:
    """Describe the credentials that a route requires: an API key or a token with this scope."""
    return [{"api_key": []}, {"bearer": [str(scope)]}]


OPEN: dict[str, Any] = {"security": []}
"""A route without credentials. Without this word, a reader cannot tell it from one whose credentials were forgotten."""

BY_CLIENT: list[dict[str, list[str]]] = [{"client": []}, {}]
"""A client's id and secret as Basic credentials, or no credentials in a header: then they are in the form."""

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Unchanged: an entity tag in If-None-Match still applies."}
}
"""The additional answer to a conditional request."""

IF_NONE_MATCH = header(
    "If-None-Match", "Entity tags that the client has: if one still applies, the answer is a 304.", type="string"
)

CREATED: dict[str, Any] = {
    "headers": {
        "Location": _text_header("The path of the message."),
        "Idempotency-Replayed": {
            "description": "Present if the request repeats an earlier one.",
            "schema": {"type": "string", "enum": ["true"]},
        },
    }
}
"""The headers of the answer to a message that was stored."""

PAGE = (
    query("limit", "The largest number of entries on a page.", type="integer", minimum=1, maximum=100, default=50),
    query("cursor", "The `meta.next_cursor` of the previous page.", type="string"),
)


def describe(app: FastAPI) -> None:
    """Make the application generate this document, once, when a client first requests it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            generated = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema = _complete(generated)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend the document


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    # The paths begin at the host that served the document.
    document["servers"] = [{"url": "/"}]
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    schemas = components.setdefault("schemas", {})
    schemas |= {shape.title: shape.schema for shape in _REQUEST_SHAPES}
    schemas |= {name: {**_as_form(MESSAGE.schema), "title": name} for name in ("MessageForm", "MessageMultipart")}
    schemas["TokenForm"] = _TOKEN_FORM
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["operationId"] = _OPERATIONS[f"{method} {path}"]
            _drop_validation_errors(operation)
            _add_headers(operation["responses"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _as_form(schema: JsonSchema) -> JsonSchema:
    """Return the schema of an object as a form has it: without null, and with a list where a text may be a list."""
    return {**schema, "properties": {name: _as_form_field(each) for name, each in schema["properties"].items()}}


def _as_form_field(schema: JsonSchema) -> JsonSchema:
    lists = [each for each in schema.get("anyOf", ()) if each["type"] == "array"]
    field = {name: value for name, value in schema.items() if name != "anyOf"} | (lists[0] if lists else {})
    if isinstance(field.get("type"), list):
        (field["type"],) = (each for each in field["type"] if each != "null")
    if "enum" in field:
        field["enum"] = [each for each in field["enum"] if each is not None]
    if field.get("default", "") is None:
        del field["default"]
    return field


def _add_headers(responses: dict[str, dict[str, Any]]) -> None:
    """Describe the headers that each status has in every route."""
    tagged = {"200", "304"} if "304" in responses else set()
    for status, response in responses.items():
        tag = _ETAG if status in tagged else {}
        is_final = status == "409" and "headers" in response
        usual = {} if is_final else _HEADERS.get(status, {})
        response["headers"] = {**response.get("headers", {}), **_REQUEST_ID, **usual, **tag}


def _drop_validation_errors(operation: dict[str, Any]) -> None:
    """Remove FastAPI's own 422: an invalid parameter is a 400 here, and 422 means a reused idempotency key."""
    unprocessable = operation["responses"].get("422", {})
    if "HTTPValidationError" in str(unprocessable):
        del operation["responses"]["422"]
