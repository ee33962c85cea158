"""Payloads that any program could push into a queue: valid ones, damaged in every way we know, and plain noise."""

import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from delivery.vocabulary import StepName
from tasks.queues import ROUTES

MARK = "Guten-Tag-Marker"
"""A word that stands in many of them and may stand in no log."""

_KOMBU_TYPES: tuple[object, ...] = (
    "uuid",
    "datetime",
    "date",
    "time",
    "decimal",
    "bytes",
    "base64",
    "object",
    [],
    None,
    MARK,
)


def hostile_payloads(number: int, queue_name: str, *, chance: random.Random) -> Iterator[bytes]:
    """Yield this many payloads for a queue. The same `chance` yields the same kinds of damage."""
    makers: list[Callable[[str, random.Random], bytes]] = [_typed, _typed_body, _mutated, _cut, _noise, _deep, _swapped]
    for _ in range(number):
        yield chance.choice(makers)(queue_name, chance)


def _valid(queue_name: str, body: object = None) -> dict[str, Any]:
    step = next(step for step, routes in ROUTES.items() if queue_name in routes)
    ids: list[object] = [2**60] if step is StepName.DELIVER else [str(uuid4())]
    content = json.dumps([[ids], {}, {}] if body is None else body).encode()
    return {
        "body": b64encode(content).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": str(step), "id": str(uuid4()), "argsrepr": MARK},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue_name},
            "priority": 0,
        },
    }


def _odd(chance: random.Random) -> Any:
    """Make a value of some odd kind, often one of kombu's own types with a value that is none of it."""
    plain: list[object] = [
        None,
        True,
        -1,
        2**70,
        1e308,
        "",
        MARK,
        "\x00",
        [],
        {},
        [[[]]],
        {"hex": MARK},
        "9" * 5000,
        "\u2028",
    ]
    value = chance.choice(plain)
    return {"__type__": chance.choice(_KOMBU_TYPES), "__value__": value} if chance.random() < 0.5 else value


def _typed(queue_name: str, chance: random.Random) -> bytes:
    del queue_name
    return json.dumps(chance.choice([_odd(chance), {"a": _odd(chance)}, [_odd(chance)]])).encode()


def _typed_body(queue_name: str, chance: random.Random) -> bytes:
    ids = [str(uuid4()), _odd(chance), 2**60, _odd(chance)]
    body = chance.choice(
        [[[ids], {}, {}], [[ids], _odd(chance), {}], [_odd(chance), {}, {}], [[ids], {}, _odd(chance)]]
    )
    return json.dumps(_valid(queue_name, body)).encode()


def _mutated(queue_name: str, chance: random.Random) -> bytes:
    payload = _valid(queue_name)
    part = chance.choice([payload, payload["headers"], payload["properties"]])
    part[chance.choice(list(part))] = _odd(chance)
    return json.dumps(payload).encode()


def _cut(queue_name: str, chance: random.Random) -> bytes:
    raw = bytearray(json.dumps(_valid(queue_name)).encode())
    for _ in range(chance.randrange(1, 4)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw[: chance.randrange(len(raw))] if chance.random() < 0.3 else raw)


def _noise(queue_name: str, chance: random.Random) -> bytes:
    del queue_name
    return chance.randbytes(chance.randrange(200)) + MARK.encode() * chance.randrange(2)


def _deep(queue_name: str, chance: random.Random) -> bytes:
    depth = chance.choice([10, 1_000, 5_000])
    raw = chance.choice([b"[", b'{"a":']) * depth
    return (
        json.dumps({**_valid(queue_name), "body": b64encode(raw).decode()}).encode() if chance.random() < 0.5 else raw
    )


def _swapped(queue_name: str, chance: random.Random) -> bytes:
    """Make a valid bell of another queue, or one of text instead of base64."""
    other = chance.choice([name for routes in ROUTES.values() for name in routes])
    payload = _valid(other)
    if chance.random() < 0.3:
        payload["body"] = json.dumps([[[MARK]], {}, {}])
    del queue_name
    return json.dumps(payload).encode()
