"""The signing keys in the database: which of them the settings open, and sealing them again under another setting."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import Connection, Row, text

from delivery.sealing import SealBroken, open_sealed, seal
from delivery.settings import Settings, environment_name

_SETTING, _BEFORE = environment_name("sealing_key"), environment_name("sealing_key_before")
# The rows are sorted, so that two who seal again wait for each other in one direction only.
_SEALED = """
    SELECT prefix, sealed FROM credential
    WHERE sealed IS NOT NULL AND revoked_at IS NULL AND coalesce(expires_at > clock_timestamp(), true)
    ORDER BY prefix
"""
_READ = text(_SEALED)
_LOCK = text(f"{_SEALED} FOR UPDATE")
_STORE = text("UPDATE credential SET sealed = :sealed WHERE prefix = :prefix")


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """The signing keys that are alive, by their public prefixes.

    `current` open with `POSTROOM_SEALING_KEY`, `earlier` only with the setting before it, `closed` with neither.
    """

    current: Sequence[str] = ()
    earlier: Sequence[str] = ()
    closed: Sequence[str] = ()


def read_sealed(db: Connection, settings: Settings) -> SealedKeys:
    """Return which signing keys the settings open."""
    return _sort(db.execute(_READ).all(), settings)


def reseal(db: Connection, settings: Settings) -> SealedKeys:
    """Seal what opens only with the earlier setting under the present one. Return how the keys were before."""
    rows = db.execute(_LOCK).all()
    found = _sort(rows, settings)
    if settings.sealing_key is not None:
        for row in rows:
            if row.prefix in found.earlier:
                secret = open_sealed(row.sealed, row.prefix, *settings.sealing_keys)
                db.execute(_STORE, {"prefix": row.prefix, "sealed": seal(secret, row.prefix, settings.sealing_key)})
    return found


def _sort(rows: Sequence[Row[tuple[str, bytes]]], settings: Settings) -> SealedKeys:
    present = [] if settings.sealing_key is None else [settings.sealing_key]
    current = [row.prefix for row in rows if _opens(row, present)]
    others = [row for row in rows if row.prefix not in current]
    earlier = [row.prefix for row in others if _opens(row, settings.sealing_keys)]
    return SealedKeys(current, earlier, [row.prefix for row in others if row.prefix not in earlier])


def _opens(row: Row[tuple[str, bytes]], keys: Sequence[SecretStr]) -> bool:
    try:
        open_sealed(row.sealed, row.prefix, *keys)
    except SealBroken:
        return False
    return True


def describe_closed(settings: Settings) -> str:
    """Return what to do about signing keys that the settings do not open."""
    what = "is another than the one that sealed them" if settings.sealing_key else "is not set"
    return (
        f"{_SETTING} {what}, so direct sends that they sign are refused. Set the right one for the deciding workers, "
        f"or beside a new one as {_BEFORE}. Or replace these keys: `postroom clients rotate CLIENT --kind signing_key`"
    )
