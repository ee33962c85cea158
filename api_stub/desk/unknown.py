"""The page for addresses below /desk that do not exist. Its route comes after all others."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_stub.desk.access import find_visit
from api_stub.desk.shell import DeskRoute, not_here

router = APIRouter(include_in_schema=False, route_class=DeskRoute)


@router.api_route("/desk/{rest:path}", methods=["GET", "POST"])
def refuse_unknown(request: Request, rest: str) -> Response:
    """Show that there is no such page, and the way back to the queue."""
    del rest
    request.state.visit = find_visit(request, is_use=False)
    raise not_here("page of the desk")
