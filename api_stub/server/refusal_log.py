"""Log refused requests: each with its id, up to ten a minute of a kind, and then how many more there were."""

from uuid import UUID

from starlette.types import Scope

from api_stub.server.repeated_events import RepeatedEvents
from api_stub.server.request_ids import request_id_of

_CLIENT = "postroom.client"
_refused = RepeatedEvents("request_refused", lines=10, level="info")


def log_refusal(scope: Scope, status: int, reason: str) -> None:
    """Log a refusal by its status and the code of its error. Nothing that was sent is in it but a public prefix."""
    client = scope.get(_CLIENT)
    _refused.log(
        (status, reason, client), status=int(status), reason=reason, client=client, request_id=request_id_of(scope)
    )


def log_raw_refusal(status: int, reason: str, request_id: str) -> None:
    """Log the refusal of what never became a request."""
    _refused.log((status, reason, None), status=int(status), reason=reason, client=None, request_id=request_id)


def note_client(scope: Scope, client: UUID | str | None) -> None:
    """Record whose request this is: the id of a client, or the prefix of a credential that was refused."""
    scope[_CLIENT] = None if client is None else str(client)
