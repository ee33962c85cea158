"""Issue bearer tokens to clients by their id and secret: `POST /oauth/token` (RFC 6749 4.4)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api_stub.authentication import TOKEN_HEADER
from api_stub.openapi import BY_CLIENT, TOKEN_BODY, errors
from api_stub.ratelimit.refusals import count_refusal
from api_stub.requests.body import ANONYMOUS_LIMIT_BYTES, read_form, refuse_declared_length
from api_stub.server.errors import ApiError
from api_stub.server.refusal_log import note_client
from api_stub.services import Services, services_of
from delivery.credentials import generate_credential
from delivery.intake.errors import InvalidInput
from delivery.intake.uuids import read_uuid
from delivery.records.identities.clients import StoredCredential
from delivery.records.identities.credentials import issue_token
from delivery.vocabulary import CredentialKind, Scope

router = APIRouter(tags=["tokens"])

GRANT = "client_credentials"
_FIELDS = ("grant_type", "client_id", "client_secret", "scope")
# RFC 6749 5.1: neither a token nor the error may be cached on the way.
_NOT_CACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class TokenAnswer(BaseModel):
    """A bearer token, with the names of RFC 6749 5.1. `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the name of a type
    scope: str


@dataclass(frozen=True, slots=True)
class _Proof:
    client_id: str
    secret: str


@router.post(
    "/oauth/token",
    response_model=TokenAnswer,
    openapi_extra={"security": BY_CLIENT, "requestBody": TOKEN_BODY},
    responses=errors(*_REFUSALS),
)
async def grant_token(request: Request) -> JSONResponse:
    """Issue a bearer token for a client's id and secret, sent as a form or as Basic credentials."""
    services = services_of(request)
    proof: _Proof | None = None
    try:
        refuse_declared_length(request, ANONYMOUS_LIMIT_BYTES)
        parameters = await _read_parameters(request)
        proof = _read_proof(request.headers.getlist(TOKEN_HEADER), parameters)
        _check_grant(parameters.get("grant_type"))
        client = await _authenticate(services, proof)
    except ApiError as error:
        await count_refusal(services.limiter, request, error.status, proof.secret if proof else "")
        raise
    note_client(request.scope, client.client_id)
    await services.limiter.check_request(client.client_id, client.limits.requests_per_minute)
    scopes = _choose_scopes(parameters.get("scope"), client.scopes)
    return await _issue(services, client, scopes)


async def _read_parameters(request: Request) -> Mapping[str, str]:
    """Read the parameters of this endpoint. Empty means absent, and unknown ones are ignored (RFC 6749 3.2)."""
    try:
        fields = await read_form(request, ANONYMOUS_LIMIT_BYTES)
    except InvalidInput as error:
        raise _refused("invalid_request", error.faults[0].message) from error
    known = {name: fields[name] for name in _FIELDS if fields.get(name)}
    for name, value in known.items():
        if not isinstance(value, str):
            raise _refused("invalid_request", f"{name} must be text.")
    return {name: str(value) for name, value in known.items()}


def _read_proof(authorizations: list[str], parameters: Mapping[str, str]) -> _Proof | None:
    """Read the client's id and secret. Raises `ApiError` if they are given in two ways (RFC 6749 2.3)."""
    if len(authorizations) > 1:
        raise _refused("invalid_request", f"Give one {TOKEN_HEADER} header.")
    in_form = _Proof(parameters.get("client_id", ""), parameters.get("client_secret", ""))
    if not authorizations:
        return in_form
    if in_form.secret:
        raise _refused("invalid_request", "Give the client's secret in the header or in the form, not in both.")
    basic = _read_basic(authorizations[0])
    if basic and in_form.client_id not in {"", basic.client_id}:
        raise _refused("invalid_request", "The client_id in the form is not the one in the header.")
    return basic


def _read_basic(authorization: str) -> _Proof | None:
    """Read Basic credentials; None for everything else.

    RFC 6749 2.3.1 requires both parts to be form-encoded, and many clients do not encode them. No id or secret has a
    character that decoding would change, so both kinds of clients are read alike.
    """
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        return None
    return _Proof(unquote_plus(client_id), unquote_plus(secret)) if colon else None


def _check_grant(grant: str | None) -> None:
    if grant is None:
        raise _refused("invalid_request", "grant_type is missing.")
    if grant != GRANT:
        raise _refused("unsupported_grant_type", f"The only grant_type here is {GRANT}.")


async def _authenticate(services: Services, proof: _Proof | None) -> StoredCredential:
    stored = await services.verifier.verify(proof.secret, CredentialKind.CLIENT_SECRET) if proof else None
    if proof is None or stored is None or stored.is_expired or stored.client_id != read_uuid(proof.client_id):
        # RFC 9110 15.5.2 requires a challenge in every 401, whichever way the client used.
        headers = {"WWW-Authenticate": 'Basic realm="Service"'}
        description = "The client is not known, or its secret is not valid."
        raise _refused("invalid_client", description, status=HTTPStatus.UNAUTHORIZED, headers=headers)
    return stored


def _choose_scopes(requested: str | None, allowed: frozenset[Scope]) -> list[Scope]:
    words = set(requested.split(" ")) - {""} if requested else set(allowed)
    if not words or not words <= allowed:
        raise _refused("invalid_scope", "The client may not have every scope that was asked for, or has none at all.")
    return [scope for scope in Scope if scope in words]


async def _issue(services: Services, client: StoredCredential, scopes: list[Scope]) -> JSONResponse:
    lifetime_s = services.settings.token_lifetime_s
    token = generate_credential(CredentialKind.ACCESS_TOKEN, services.settings.pepper)
    lifetime = timedelta(seconds=lifetime_s)
    databases = services.databases
    await databases.credentials.run_in_turn(
        client.client_id, issue_token, client.client_id, token, scopes=scopes, lifetime=lifetime
    )
    text = token.text.get_secret_value()
    answer = TokenAnswer(access_token=text, expires_in=lifetime_s, token_type="Bearer", scope=" ".join(scopes))  # noqa: S106 - see above
    return JSONResponse(answer.model_dump(), headers=_NOT_CACHED)


def _refused(
    error: str,
    description: str,
    *,
    status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    return ApiError(status, error, description, headers={**_NOT_CACHED, **(headers or {})})
