"""The OpenAPI document: what the routes cannot say by themselves, so that the whole of it is true."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from delivery.intake.messages import BODY_LIMIT, RECIPIENT_LIMIT, SENDER_NAME_LIMIT, SUBJECT_LIMIT
from delivery.vocabulary import MessageType, Scope

_REFERENCE = "#/components/schemas/{model}"
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


# Generated clients name their methods by these, so they stay as they are.
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
    "get /healthz": "ask_whether_alive",
    "get /readyz": "ask_whether_ready",
}


def _text_header(description: str) -> dict[str, Any]:
    return {"required": True, "description": description, "schema": {"type": "string"}}


_CHALLENGE = {"WWW-Authenticate": _text_header("What credentials are wanted (RFC 9110 11.6.1, RFC 6750 3).")}
_PAUSE = {"Retry-After": _text_header("In how many seconds to try again.")}
_TAG = {"ETag": _text_header("What If-None-Match may name next time.")}
_ALWAYS = {"X-Request-Id": _text_header("The id of this request, also in the log.")}
_HEADERS = {"401": _CHALLENGE, "403": _CHALLENGE, "409": _PAUSE, "429": _PAUSE, "503": _PAUSE}


class MessageFields(BaseModel):
    """A message to send. Unknown and read-only fields are ignored."""

    model_config = ConfigDict(extra="allow")

    recipient_uuids: Annotated[list[UUID], Field(min_length=1, max_length=RECIPIENT_LIMIT)] | UUID = Field(
        description="The accounts to reach; the same one twice counts once. A single text is a list of one."
    )
    sender_name: str = Field(min_length=1, max_length=SENDER_NAME_LIMIT)
    sender_email: str | None = Field(None, description="A plain address, where answers go; empty means none.")
    subject: str = Field(min_length=1, max_length=SUBJECT_LIMIT, description="One line.")
    body: str = Field(min_length=1, max_length=BODY_LIMIT)
    type: MessageType | None = None


class FaultData(BaseModel):
    """One thing that is wrong with a request; `field` is empty for the body as a whole."""

    field: str
    code: str
    message: str


class ErrorData(BaseModel):
    """Every error. `error` names what kind of refusal it is, `errors` lists what is wrong with the fields."""

    success: Literal[0]
    error: str | None = None
    error_description: str | None = None
    error_messages: list[str]
    errors: list[FaultData] | None = None
    request_id: UUID


def errors(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Say which errors a route answers with."""
    return {int(status): {"model": ErrorData, "description": status.phrase} for status in statuses}


GUARDED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What every route that asks for credentials may answer."""


def body_of(model: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """Describe a request body that is taken in several encodings."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"required": True, "content": {media_type: {"schema": schema} for media_type in media_types}}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe an optional request header."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe an optional query parameter."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def guarded_by(scope: Scope) -> list[dict[str, list[str]]]:
    """Say what credentials a route asks for."""
    return [{"api_key": []}, {"bearer": [str(scope)]}]


BY_CLIENT: list[dict[str, list[str]]] = [{"client": []}, {}]
"""A client's Basic credentials, or none in the head: then they are in the form."""

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is still what If-None-Match names."}}
"""What a conditional question may be answered."""

IF_NONE_MATCH = header(
    "If-None-Match", "Entity tags that are known already: a 304 says that one still holds.", type="string"
)

PLACE: dict[str, Any] = {
    "headers": {
        "Location": _text_header("Where to read the message."),
        "Idempotency-Replayed": {
            "description": "Given when this repeats an earlier answer.",
            "schema": {"type": "string", "enum": ["true"]},
        },
    }
}
"""What comes beside a message that was taken in."""


PAGE = (
    query("limit", "How many entries at most.", type="integer", minimum=1, maximum=100, default=50),
    query("cursor", "The `meta.next_cursor` of the page before.", type="string"),
)


def describe_by(app: FastAPI, models: Mapping[str, type[BaseModel]]) -> None:
    """Make the application write this document, once, with these models of request bodies in it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            written = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _complete(written, models)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend the document


def _complete(document: dict[str, Any], models: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    schemas = components.setdefault("schemas", {})
    for name, model in models.items():
        schema = model.model_json_schema(ref_template=_REFERENCE)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["operationId"] = _OPERATIONS[f"{method} {path}"]
            _forget_validation_errors(operation)
            _name_headers(operation["responses"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _name_headers(responses: dict[str, dict[str, Any]]) -> None:
    """Say which headers come with which status."""
    tagged = {"200", "304"} if "304" in responses else set()
    for status, response in responses.items():
        tag = _TAG if status in tagged else {}
        response["headers"] = {**response.get("headers", {}), **_ALWAYS, **_HEADERS.get(status, {}), **tag}


def _forget_validation_errors(operation: dict[str, Any]) -> None:
    """Take out FastAPI's own 422: our parameters answer 400, and 422 means another thing here."""
    unprocessable = operation["responses"].get("422", {})
    if "HTTPValidationError" in str(unprocessable):
        del operation["responses"]["422"]
