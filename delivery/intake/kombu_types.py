"""Read the types that kombu writes into JSON by itself: `{"__type__": "uuid", "__value__": {"hex": "..."}}`."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

_TYPE, _VALUE = "__type__", "__value__"


def read_kombu_types(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Replace such objects, as values of fields and as entries of lists, by the plain values that they stand for.

    Every other object stays as it is: the checks of its field refuse it.
    """
    return {name: [*map(_plain, value)] if isinstance(value, list) else _plain(value) for name, value in fields.items()}


def _plain(value: object) -> object:
    if isinstance(value, dict) and value.keys() == {_TYPE, _VALUE}:
        read = _READERS.get(value[_TYPE]) if isinstance(value[_TYPE], str) else None
        if read is not None:
            with suppress(ValueError, TypeError, KeyError):
                return read(value[_VALUE])
    return value


def _read_uuid(value: object) -> str:
    if not isinstance(value, dict) or not isinstance(value["hex"], str):
        raise TypeError("a UUID is written as its hexadecimal digits")
    return str(UUID(hex=value["hex"]))


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("kombu writes these types as text")
    return value


def _read_number(value: object) -> float:
    """Return 0.0, as for every number in a task: no field is a number."""
    float(_read_text(value))
    return 0.0


def _read_bytes(value: object) -> bytes:
    return b64decode(_read_text(value), validate=True)


# `bytes` are bytes that are UTF-8, `base64` all others. No field takes the latter.
_READERS: Mapping[str, Callable[[object], object]] = {
    "uuid": _read_uuid,
    "datetime": _read_text,
    "date": _read_text,
    "time": _read_text,
    "bytes": _read_text,
    "decimal": _read_number,
    "base64": _read_bytes,
}
