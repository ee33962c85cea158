"""The word lists of the rules in force, with their entries."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Visit, desk_of, visitor
from api_stub.desk.shell import DeskRoute, not_here, page
from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.vocabulary import StaffRole

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor(StaffRole.VIEWER))]
_SHOWN = 500


@router.get("/desk/lists")
def show_lists(request: Request, visit: Reader) -> Response:
    """Show the word lists with their counts."""
    del visit
    with transaction(desk_of(request).database) as db:
        rule_set = store.read_newest(db)
    return page(request, "lists.html", rule_set=rule_set)


@router.get("/desk/lists/{name}")
def show_list(request: Request, visit: Reader, name: str) -> Response:
    """Show the entries of a list, or those that contain what is searched for."""
    del visit
    wanted = request.query_params.get("find", "").strip()[:100]
    with transaction(desk_of(request).database) as db:
        rule_set = store.read_newest(db)
    listed = next((each for each in rule_set.lists if each.name == name), None)
    if listed is None:
        raise not_here("word list")
    found = [each for each in listed.entries if wanted.casefold() in each.casefold()]
    shown, number = found[:_SHOWN], rule_set.number
    return page(request, "list.html", wanted=wanted, listed=listed, found=shown, found_count=len(found), number=number)
