"""Describe a failure of a step for the log: where in our code it is, and its words as far as they hold no content."""

import traceback
from pathlib import Path

from delivery.rules.masking import mask_values

_ROOT = Path(__file__).resolve().parents[1]
_OUR_FOLDERS = frozenset({"api_stub", "delivery", "tasks", "worker"})
# PostgreSQL quotes the value itself in errors about data (class 22) and about XML or JSON; other messages name columns.
_ABOUT_VALUES = "22"


def place_of(error: BaseException) -> str:
    """Return the file and line of the last frame in our code, such as `tasks/steps/deliver.py:61`."""
    frames = [(_ours(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return next((f"{name}:{line}" for name, line in reversed(frames) if name), "unknown")


def words_of(error: BaseException) -> str:
    """Return what an error says, on one line. Values and addresses are masked; parameters are never in it."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy's errors hold that of the driver.
    state, diagnosis = getattr(cause, "sqlstate", None), getattr(cause, "diag", None)
    if state is None or diagnosis is None:
        return mask_values(str(cause))
    message = "" if state.startswith(_ABOUT_VALUES) else mask_values(diagnosis.message_primary or "")
    return f"{state} {type(cause).__name__}: {message}".rstrip(": ")


def _ours(filename: str) -> str:
    path = Path(filename)
    if not path.is_relative_to(_ROOT):
        return ""
    name = path.relative_to(_ROOT)
    return str(name) if name.parts[0] in _OUR_FOLDERS else ""
