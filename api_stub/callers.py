"""Who calls, and may they? An API key for now, in the configured header or in `X-API-Key`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from fastapi import Request

from api_stub.errors import Refusal
from api_stub.front import Front, front_of
from delivery.credentials import is_match, split
from delivery.records.clients import StoredCredential, find_credential
from delivery.vocabulary import CredentialKind, Scope

FALLBACK_HEADER = "X-API-Key"
_CHALLENGE = 'Bearer realm="Service"'


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client."""

    client_id: UUID


def may(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """Make the dependency that lets only callers with this scope in."""

    async def caller_with_scope(request: Request) -> Caller:
        credential = await _authenticate(request, front_of(request))
        if scope not in credential.scopes:
            description = f"This needs the scope {scope}, which this client does not have."
            headers = {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'}
            raise Refusal(HTTPStatus.FORBIDDEN, "insufficient_scope", description, headers=headers)
        return Caller(credential.client_id)

    return caller_with_scope


async def _authenticate(request: Request, front: Front) -> StoredCredential:
    names = {front.settings.api_key_header.lower(), FALLBACK_HEADER.lower()}
    keys = [key for name in names for key in request.headers.getlist(name)]
    if not keys:
        raise _unauthorized("unauthorized", f"Give an API key in the header {front.settings.api_key_header}.")
    if len(keys) > 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_request", "Give one API key, once.")
    credential = await _find(keys[0], front)
    if credential is None:
        raise _unauthorized("invalid_api_key", "Invalid API key.")
    return credential


async def _find(key: str, front: Front) -> StoredCredential | None:
    parts = split(key)
    if parts is None:
        return None
    prefix, secret = parts
    credential = await front.archive.ask(find_credential, prefix, CredentialKind.API_KEY)
    is_genuine = credential is not None and is_match(secret, credential.digest, front.settings.pepper)
    return credential if is_genuine else None


def _unauthorized(error: str, description: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, error, description, headers={"WWW-Authenticate": _CHALLENGE})
