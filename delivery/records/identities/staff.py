"""Staff: the people who may use the desk, with their roles and passwords."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Row, text
from uuid_utils.compat import uuid7

from delivery.vocabulary import StaffRole

_COLUMNS = """
    staff.id AS staff_id, staff.name, staff.role, staff.email, staff.account_id, staff.password_digest,
    staff.totp_sealed, staff.has_single_keys, staff.created_at, staff.disabled_at
"""
STAFF_COLUMNS = _COLUMNS
"""The columns that `staff_of` reads."""

_AnyRow: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff. `email` and `account_id` are who that person is on the platform; both may be unknown."""

    staff_id: UUID
    name: str
    role: StaffRole
    email: str | None
    account_id: UUID | None
    password_digest: str
    totp_sealed: bytes | None
    has_single_keys: bool
    created_at: datetime
    disabled_at: datetime | None

    def has_role(self, role: StaffRole) -> bool:
        """Check whether this person may do what members of a role may."""
        order = list(StaffRole)
        return order.index(self.role) >= order.index(role)


@dataclass(frozen=True, slots=True)
class NewStaff:
    """A person to add. The password is given as its digest."""

    name: str
    role: StaffRole
    password_digest: str
    email: str | None = None
    account_id: UUID | None = None


_ADD = text("""
    INSERT INTO staff (id, name, role, password_digest, email, account_id)
    VALUES (:staff_id, :name, :role, :password_digest, :email, :account_id)
    ON CONFLICT (lower(name)) DO NOTHING RETURNING id
""")
_BY_NAME = text(f"SELECT {_COLUMNS} FROM staff WHERE lower(name) = lower(:name)")
_BY_ID = text(f"SELECT {_COLUMNS} FROM staff WHERE id = :staff_id")
_ALL = text(f"SELECT {_COLUMNS} FROM staff ORDER BY disabled_at IS NOT NULL, lower(name)")
_SET_ROLE = text("UPDATE staff SET role = :role WHERE id = :staff_id")
_SET_PASSWORD = text("UPDATE staff SET password_digest = :digest WHERE id = :staff_id")
_SET_TOTP = text("UPDATE staff SET totp_sealed = :sealed, totp_step = 0 WHERE id = :staff_id")
_SET_KEYS = text("UPDATE staff SET has_single_keys = :wanted WHERE id = :staff_id")
_USE_STEP = text("UPDATE staff SET totp_step = :step WHERE id = :staff_id AND totp_step < :step RETURNING id")
_DISABLE = text("""
    UPDATE staff SET disabled_at = CASE WHEN :is_disabled THEN clock_timestamp() END WHERE id = :staff_id
""")
_END_LOGINS = text("DELETE FROM staff_session WHERE staff_id = :staff_id")


def add(db: Connection, new: NewStaff) -> UUID | None:
    """Store a person and return the id; None when another one has this name, in upper or lower case."""
    values = {
        "staff_id": uuid7(),
        "name": new.name,
        "role": new.role,
        "password_digest": new.password_digest,
        "email": new.email,
        "account_id": new.account_id,
    }
    added: UUID | None = db.scalar(_ADD, values)
    return added


def by_name(db: Connection, name: str) -> StaffMember | None:
    """Return the person of this name, disabled or not; None when there is none."""
    row = db.execute(_BY_NAME, {"name": name}).one_or_none()
    return None if row is None else staff_of(row)


def by_id(db: Connection, staff_id: UUID) -> StaffMember | None:
    """Return the person of this id, disabled or not; None when there is none."""
    row = db.execute(_BY_ID, {"staff_id": staff_id}).one_or_none()
    return None if row is None else staff_of(row)


def everyone(db: Connection) -> list[StaffMember]:
    """Return all staff, by name, with those who are disabled last."""
    return [staff_of(row) for row in db.execute(_ALL)]


def set_role(db: Connection, staff_id: UUID, role: StaffRole) -> None:
    """Change the role of a person. It counts from the next request."""
    db.execute(_SET_ROLE, {"staff_id": staff_id, "role": role})


def set_password(db: Connection, staff_id: UUID, digest: str) -> None:
    """Replace the password of a person, and end all logins."""
    db.execute(_SET_PASSWORD, {"staff_id": staff_id, "digest": digest})
    db.execute(_END_LOGINS, {"staff_id": staff_id})


def set_totp(db: Connection, staff_id: UUID, sealed: bytes | None) -> None:
    """Store the sealed secret of one-time codes; None means that the password is enough."""
    db.execute(_SET_TOTP, {"staff_id": staff_id, "sealed": sealed})


def use_totp_step(db: Connection, staff_id: UUID, step: int) -> bool:
    """Use up a step of time, and return whether it was still unused: a code that was seen opens nothing twice."""
    return db.scalar(_USE_STEP, {"staff_id": staff_id, "step": step}) is not None


def set_single_keys(db: Connection, staff_id: UUID, *, wanted: bool) -> None:
    """Turn the single keys of the desk on or off for a person (WCAG 2.1.4)."""
    db.execute(_SET_KEYS, {"staff_id": staff_id, "wanted": wanted})


def set_disabled(db: Connection, staff_id: UUID, *, is_disabled: bool) -> None:
    """Disable a person and end all logins, or enable that person again."""
    db.execute(_DISABLE, {"staff_id": staff_id, "is_disabled": is_disabled})
    db.execute(_END_LOGINS, {"staff_id": staff_id})


def staff_of(row: _AnyRow) -> StaffMember:
    """Read a person from a row with `STAFF_COLUMNS`."""
    return StaffMember(
        staff_id=row.staff_id,
        name=row.name,
        role=StaffRole(row.role),
        email=row.email,
        account_id=row.account_id,
        password_digest=row.password_digest,
        totp_sealed=row.totp_sealed,
        has_single_keys=row.has_single_keys,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
