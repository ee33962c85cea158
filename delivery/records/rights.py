"""Which role may do what with which table, so that a leaked password opens no more than its process needs.

A new table needs a line here. FOR UPDATE and its kind need the right to update, if only of one column.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class DatabaseRole(StrEnum):
    """The roles in the database: OWNER migrates and owns the tables, OPERATOR is for commands."""

    OWNER = "postroom_owner"
    API = "postroom_api"
    WORKER = "postroom_worker"
    OPERATOR = "postroom_operator"


_ALL = "SELECT, INSERT, UPDATE, DELETE"
_ADD = "SELECT, INSERT"
_READ = "SELECT"
_CHANGE = "SELECT, INSERT, UPDATE"

# Staff decide at the desk, which the API serves, so it may release what is held and change the rules.
_API_AND_WORKER: Mapping[str, tuple[str, str]] = {
    "account": (_CHANGE, _READ),
    "alembic_version": (_READ, _READ),
    "audit_detail": (_ADD, _ADD),
    "audit_event": (_ADD, _ADD),
    "case_claim": (_ALL, _READ),
    "case_decision": (_CHANGE, _CHANGE),
    "case_note": (_ADD, _READ),
    "case_skip": (_ALL, _READ),
    "client": ("SELECT, UPDATE (trust)", "SELECT, UPDATE (direct_token_used_at)"),
    "contact": (_ADD, _ADD),
    # The API issues access tokens, and deletes those of a client that has too many.
    "credential": ("SELECT, INSERT, UPDATE (last_used_at), DELETE", "SELECT, UPDATE (last_used_at)"),
    "inbox_letter": (_ADD, _ADD),
    "issuer_link": (_READ, _READ),
    "message": (_CHANGE, _CHANGE),
    "preference": (_CHANGE, _READ),
    "recipient": (_CHANGE, _CHANGE),
    "refused_send": (_READ, "SELECT, INSERT, DELETE"),
    "rule_hit": (_READ, _ADD),
    # A person at the desk stops a rule; a worker lets one that holds too much only note its hits.
    "rule_set": (_ADD, _ADD),
    "rule_watch": (_READ, _CHANGE),
    "security_event": (_ADD, _ADD),
    "silenced_address": ("SELECT, INSERT, DELETE", _READ),
    "staff": (_CHANGE, _READ),
    "staff_login_attempt": ("SELECT, INSERT, DELETE", _READ),
    "staff_session": (_ALL, _READ),
    "standing_decision": (_CHANGE, _CHANGE),
    "tally": (_ALL, _ALL),
    "vetting_case": (_CHANGE, _CHANGE),
    "word_list": (_ADD, _ADD),
    "worker": (_READ, _ALL),
}
_OPERATOR = {"alembic_version": _READ, "audit_event": _ADD, "security_event": _ADD}

TABLE_RIGHTS: Mapping[str, Mapping[DatabaseRole, str]] = MappingProxyType(
    {
        table: {DatabaseRole.API: api, DatabaseRole.WORKER: worker, DatabaseRole.OPERATOR: _OPERATOR.get(table, _ALL)}
        for table, (api, worker) in _API_AND_WORKER.items()
    }
)
"""What each role but the owner may do, by table, as GRANT has it."""
