"""Log refused requests with their ids: the first ten of a kind in a minute, and then the 100th, 1,000th and so on."""

from uuid import UUID

import structlog
from starlette.types import Scope

from api_stub.server.request_ids import request_id_of
from delivery.logs.rare_lines import RareLines, is_power_of_ten

_CLIENT = "postroom.client"
_FIRST = 10
_refused = RareLines(is_due=lambda times: times <= _FIRST or is_power_of_ten(times), lines_limit=1000)
_log = structlog.get_logger()


def log_refusal(scope: Scope, status: int, reason: str) -> None:
    """Log a refusal by its status and the code of its error. Nothing that was sent is in it but a public prefix."""
    _write(status, reason, scope.get(_CLIENT), request_id_of(scope))


def begin_log() -> None:
    """Forget all counts, when an API starts."""
    _refused.forget()


def log_raw_refusal(status: int, reason: str, request_id: str) -> None:
    """Log the refusal of what never became a request."""
    _write(status, reason, None, request_id)


def note_client(scope: Scope, client: UUID | str | None) -> None:
    """Record whose request this is: the id of a client, or the prefix of a credential that was refused."""
    scope[_CLIENT] = None if client is None else str(client)


def _write(status: int, reason: str, client: str | None, request_id: str) -> None:
    kind = (status, reason, client)
    about = {"status": int(status), "reason": reason, "client": client, "request_id": request_id}
    _refused.log(_log.info, "request_refused", key=kind, **about)
