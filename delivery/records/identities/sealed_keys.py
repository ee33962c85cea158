"""What is sealed in the database: what of it the settings open, and sealing it again under another setting."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import Connection, Row, text

from delivery.sealing import SealBroken, open_sealed, seal
from delivery.settings import Settings, environment_name
from delivery.staff_secrets import TOTP_NAME

_SETTING, _BEFORE = environment_name("sealing_key"), environment_name("sealing_key_before")
# The rows are sorted, so that two who seal again wait for each other in one direction only.
_SIGNING_KEYS = """
    SELECT prefix AS name, sealed FROM credential
    WHERE sealed IS NOT NULL AND revoked_at IS NULL AND coalesce(expires_at > clock_timestamp(), true)
    ORDER BY prefix
"""
_CODES = f"""
    SELECT '{TOTP_NAME}' || id AS name, totp_sealed AS sealed FROM staff
    WHERE totp_sealed IS NOT NULL AND disabled_at IS NULL
    ORDER BY id
"""
# Each statement that reads, with the one that stores.
_SEALED = {
    _SIGNING_KEYS: text("UPDATE credential SET sealed = :sealed WHERE prefix = :name"),
    _CODES: text(f"UPDATE staff SET totp_sealed = :sealed WHERE '{TOTP_NAME}' || id = :name"),
}


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """The signing keys that are alive, by their public prefixes, and the one-time codes of staff, by the ids of staff.

    `current` open with `POSTROOM_SEALING_KEY`, `earlier` only with the setting before it, `closed` with neither.
    """

    current: Sequence[str] = ()
    earlier: Sequence[str] = ()
    closed: Sequence[str] = ()


def read_sealed(db: Connection, settings: Settings) -> SealedKeys:
    """Return what the settings open."""
    return _sort([row for read in _SEALED for row in db.execute(text(read))], settings)


def reseal(db: Connection, settings: Settings) -> SealedKeys:
    """Seal what opens only with the earlier setting under the present one. Return how the keys were before."""
    rows = [(row, store) for read, store in _SEALED.items() for row in db.execute(text(f"{read} FOR UPDATE"))]
    found = _sort([row for row, _ in rows], settings)
    if settings.sealing_key is not None:
        for row, store in rows:
            if row.name in found.earlier:
                secret = open_sealed(row.sealed, row.name, *settings.sealing_keys)
                db.execute(store, {"name": row.name, "sealed": seal(secret, row.name, settings.sealing_key)})
    return found


def _sort(rows: Sequence[Row[tuple[str, bytes]]], settings: Settings) -> SealedKeys:
    present = [] if settings.sealing_key is None else [settings.sealing_key]
    current = [row.name for row in rows if _opens(row, present)]
    others = [row for row in rows if row.name not in current]
    earlier = [row.name for row in others if _opens(row, settings.sealing_keys)]
    return SealedKeys(current, earlier, [row.name for row in others if row.name not in earlier])


def _opens(row: Row[tuple[str, bytes]], keys: Sequence[SecretStr]) -> bool:
    try:
        open_sealed(row.sealed, row.name, *keys)
    except SealBroken:
        return False
    return True


def describe_closed(settings: Settings) -> str:
    """Return what to do about secrets that the settings do not open."""
    what = "is another than the one that sealed them" if settings.sealing_key else "is not set"
    return (
        f"{_SETTING} {what}, so direct sends and one-time codes are refused. Set the right one for the deciding "
        f"workers and the API, or beside a new one as {_BEFORE}. Or replace them: `postroom clients rotate CLIENT "
        "--kind signing_key`, `postroom staff reset NAME --codes`"
    )
