"""Authenticate the client of a request by its headers: an API key, our access token, or one of a trusted issuer."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from uuid import UUID

import structlog
from fastapi import Request
from starlette.datastructures import Headers

from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, IssuerUnreachable
from api_stub.credentials.issuer_slots import Asker
from api_stub.ratelimit.refusals import address_of, count_refusal
from api_stub.requests.body import refuse_declared_length
from api_stub.server.errors import ApiError
from api_stub.server.refusal_log import note_client
from api_stub.services import Services, services_of
from delivery.credentials import parse_credential
from delivery.intake.errors import FieldError
from delivery.records.identities.clients import KnownClient
from delivery.vocabulary import CredentialKind, Scope

FALLBACK_HEADER = "X-API-Key"
TOKEN_HEADER = "Authorization"  # noqa: S105 - the name of a header

_CHALLENGE = 'Bearer realm="Service"'
# RFC 9110 11.4: the scheme in upper or lower case. What follows it is checked as a token, whatever it is.
_BEARER = re.compile(r"bearer(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)
_RETRY_AFTER_S = "5"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """An authenticated client, its scopes, and its own limits; None means those of the settings."""

    client_id: UUID
    scopes: frozenset[Scope]
    requests_per_minute: int | None
    recipients_per_minute: int | None


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """The credential in a request, not verified yet."""

    kind: CredentialKind
    text: str


def require_scope(scope: Scope) -> Callable[[Request], Awaitable[AuthenticatedClient]]:
    """Make the dependency that authenticates a client, checks its scope, and counts the request."""

    async def client_with_scope(request: Request) -> AuthenticatedClient:
        services = services_of(request)
        try:
            refuse_declared_length(request)
            client = await _authenticate(request, services)
        except ApiError as error:
            presented = presented_text(request.headers, services.settings.api_key_header)
            parts = parse_credential(presented)
            note_client(request.scope, parts[0] if parts else None)
            await count_refusal(services.limiter, request, error.status, presented)
            raise
        note_client(request.scope, client.client_id)
        if scope not in client.scopes:
            client_id = str(client.client_id)
            services.limiter.sampled_lines.count("scope_refused", client_id, client_id=client_id, scope=scope)
            raise _out_of_scope(scope)
        await services.limiter.check_request(client.client_id, client.requests_per_minute)
        return client

    return client_with_scope


def read_credential(headers: Headers, key_header: str) -> PresentedCredential:
    """Return the one credential in a request's headers. Raises `ApiError` for none (401) and for several (400)."""
    keys = [key for name in {key_header.lower(), FALLBACK_HEADER.lower()} for key in headers.getlist(name)]
    authorizations = headers.getlist(TOKEN_HEADER)
    bearers = [match for each in authorizations if (match := _BEARER.fullmatch(each.strip()))]
    if len(keys) > 1:
        raise _ambiguous(key_header, "Give one API key, in one header, once.")
    if len(authorizations) > 1:
        raise _ambiguous(TOKEN_HEADER, f"Give one {TOKEN_HEADER} header.")
    if keys and bearers:
        raise _ambiguous(TOKEN_HEADER, "Give an API key or a bearer token, not both.")
    if keys:
        return PresentedCredential(CredentialKind.API_KEY, keys[0])
    if bearers:
        return PresentedCredential(CredentialKind.ACCESS_TOKEN, bearers[0][1] or "")
    raise _refused("unauthorized", f"Give an API key in the header {key_header}, or a bearer token.")


def presented_text(headers: Headers, key_header: str) -> str:
    """Return what a request presents as its credential, whatever it is; empty when that is nothing or unclear."""
    try:
        return read_credential(headers, key_header).text
    except ApiError:
        return ""


def name_credential(request: Request, client: AuthenticatedClient) -> str:
    """Return whose act this is: one API key, or all tokens of a client, of which it can make any number."""
    presented = read_credential(request.headers, services_of(request).settings.api_key_header)
    parts = parse_credential(presented.text) if presented.kind is CredentialKind.API_KEY else None
    return f"key {parts[0]}" if parts else f"tokens of client {client.client_id}"


async def _authenticate(request: Request, services: Services) -> AuthenticatedClient:
    presented = read_credential(request.headers, services.settings.api_key_header)
    if presented.kind is CredentialKind.API_KEY:
        known = await _authenticate_by_key(services, presented.text)
    elif parse_credential(presented.text, CredentialKind.ACCESS_TOKEN) is None:
        known = await _authenticate_by_issuer(services, presented.text, _asker(request, services))
    else:
        known = await _authenticate_by_token(services, presented.text)
    limits = known.limits
    return AuthenticatedClient(known.client_id, known.scopes, limits.requests_per_minute, limits.recipients_per_minute)


async def _authenticate_by_key(services: Services, key: str) -> KnownClient:
    known = await services.verifier.verify(key, CredentialKind.API_KEY)
    if known is None or known.is_expired:
        raise _refused("invalid_api_key", "Invalid API key.")
    return known


async def _authenticate_by_token(services: Services, token: str) -> KnownClient:
    known = await services.verifier.verify(token, CredentialKind.ACCESS_TOKEN)
    if known is None:
        raise _invalid_token()
    if known.is_expired:
        raise _expired_token()
    return known


def _asker(request: Request, services: Services) -> Asker:
    address, limiter = address_of(request), services.limiter
    return Asker(address, partial(limiter.has_guessed, address), partial(limiter.check_guesses, address))


async def _authenticate_by_issuer(services: Services, token: str, asker: Asker) -> KnownClient:
    if services.issuer is None:
        raise _invalid_token()
    try:
        identity = await services.issuer.identify(token, asker)
    except InvalidToken as error:
        # For the operator who sets an issuer up. The reason names claims and holds no value.
        _log.debug("issuer_token_refused", reason=str(error))
        raise _invalid_token() from error
    except ExpiredToken as error:
        raise _expired_token() from error
    except IssuerUnreachable as error:
        raise _unreachable() from error
    known = await services.verifier.find_client(identity.client)
    if known is None:
        _log.debug("issuer_token_refused", reason="No client is linked to it, or all keys of that client are revoked.")
        raise _invalid_token()
    return KnownClient(known.client_id, known.scopes & identity.scopes, known.limits)


def _invalid_token() -> ApiError:
    return _refused("invalid_token", "The access token is not valid.", is_about_token=True)


def _expired_token() -> ApiError:
    return _refused("expired_token", "The access token has expired.", is_about_token=True)


def _refused(error: str, description: str, *, is_about_token: bool = False) -> ApiError:
    # RFC 6750 3.1: without any credential, or with one of another kind, the challenge names no error.
    about = f', error="invalid_token", error_description="{description}"' if is_about_token else ""
    headers = {"WWW-Authenticate": f"{_CHALLENGE}{about}"}
    return ApiError(HTTPStatus.UNAUTHORIZED, error, description, headers=headers)


def _out_of_scope(scope: Scope) -> ApiError:
    description = f"This needs the scope {scope}, which was not granted."
    challenge = f'{_CHALLENGE}, error="insufficient_scope", error_description="{description}", scope="{scope}"'
    return ApiError(HTTPStatus.FORBIDDEN, "insufficient_scope", description, headers={"WWW-Authenticate": challenge})


def _ambiguous(header: str, description: str) -> ApiError:
    errors = [FieldError(header, "invalid_request", description)]
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", description, faults=errors)


def _unreachable() -> ApiError:
    description = "The issuer of this access token cannot be asked right now. Send the same again in a moment."
    headers = {"Retry-After": _RETRY_AFTER_S}
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "issuer_unavailable", description, headers=headers)
