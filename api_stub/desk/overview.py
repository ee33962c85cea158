"""The shift, a sender's past, and the rules in force."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of, visitor
from api_stub.desk.shell import DeskRefusal, DeskRoute, go, not_here, page
from api_stub.desk.trail import append_entry
from delivery.logs.security import write_line
from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.records.views.desk import rule_figures
from delivery.records.views.desk.shift import shift_figures
from delivery.rulebook.documents import write_rule_set
from delivery.rules import rule_edits
from delivery.rules.audit_chain import AuditKind
from delivery.rules.rule_set import Mode, RuleSet
from delivery.vocabulary import StaffRole

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor())]
Editor = Annotated[Visit, Depends(acting(StaffRole.RULE_EDITOR))]
_EDITIONS = 20


@router.get("/desk/shift")
def show_shift(request: Request, visit: Reader) -> Response:
    """Show what waits, and what was decided in a day."""
    with transaction(desk_of(request).database) as db:
        figures = shift_figures(db)
    return page(request, "shift.html", figures=figures, own=figures.by_person.get(visit.member.name, {}))


@router.get("/desk/rules")
def show_rules(request: Request, visit: Reader) -> Response:
    """Show the rules in force, how often each hit, and the newest changes."""
    del visit
    with transaction(desk_of(request).database) as db:
        rule_set = store.read_newest(db)
        hits = rule_figures.hits_of_week(db, [each.name for each in rule_set.rules])
        editions = store.editions(db, _EDITIONS)
    return page(request, "rules.html", rule_set=rule_set, hits=hits, editions=editions)


@router.get("/desk/rules/{name}")
def show_rule(request: Request, visit: Reader, name: str) -> Response:
    """Show one rule with the messages that it hit."""
    del visit
    with transaction(desk_of(request).database) as db:
        try:
            rule = rule_edits.rule_of(store.read_newest(db), name)
        except rule_edits.NoSuchRule as error:
            raise not_here("rule") from error
        hits = rule_figures.latest_hits(db, name)
    return page(request, "rule.html", rule=rule, written=write_rule_set(RuleSet(rules=(rule,))), hits=hits)


@router.post("/desk/rules/{name}/stop")
def stop_rule(request: Request, visit: Editor, form: Form, name: str) -> Response:
    """Stop a rule: it is a draft again, and no message is judged by it any more."""
    comment = form.get("comment", "").strip()[:500] or f"{name} stopped at the desk"
    try:
        with transaction(desk_of(request).database) as db:
            before = store.read_newest(db)
            stopped = rule_edits.with_mode(before, name, Mode.DRAFT, person=visit.member.name)
            store.store(db, replace(stopped, number=before.number), made_by=visit.member.name, comment=comment)
            append_entry(request, db, AuditKind.RULES_CHANGED, str(visit.member.staff_id), (name,), change="stopped")
    except rule_edits.NoSuchRule as error:
        raise not_here("rule") from error
    except store.ChangedMeanwhile as error:
        raise DeskRefusal(HTTPStatus.CONFLICT, "Nothing was changed", str(error)) from error
    write_line("rule_stopped", rule=name, actor=f"staff {visit.member.staff_id}")
    return go(f"/desk/rules/{name}")
