"""Receiving bells: a valid bell passes with its step, time and ids, and everything else is refused."""

import json
from base64 import b64decode, b64encode
from typing import Any
from uuid import uuid4

import pytest

from tasks.broker.bell_consumer import read_bell
from tasks.broker.bell_format import RUNG_AT

RUNG = "2026-11-24T12:00:00+00:00"


def bell(arguments: object = None, **overrides: Any) -> dict[str, Any]:
    """Make a bell as Celery's `send_task` does; the arguments replace parts of a valid one."""
    body = json.dumps([[["x"]], {}, {"callbacks": None, "chord": None}] if arguments is None else arguments).encode()
    return {
        "body": b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "messages.decide", "id": str(uuid4()), RUNG_AT: RUNG, "argsrepr": "(['x'],)"},
        "properties": {"delivery_tag": str(uuid4()), "delivery_info": {"exchange": "", "routing_key": "decide"}},
        **overrides,
    }


def headers(**chosen: object) -> dict[str, object]:
    """Make the headers of a bell."""
    return {"task": "messages.decide", "id": str(uuid4()), RUNG_AT: RUNG, **chosen}


def test_a_valid_bell_passes_with_its_step_its_time_and_its_ids_only() -> None:
    received = read_bell(bell(headers=headers(eta="2099-01-01T00:00:00", expires=1, shadow="x", compression="gzip")))

    assert {"lang", "task", "id", RUNG_AT} == set(received["headers"])
    assert ("messages.decide", RUNG) == (received["headers"]["task"], received["headers"][RUNG_AT])
    assert [["x"]] == json.loads(b64decode(received["body"]))[0]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "decide",
        [],
        {},
        bell(headers=None),
        bell(headers=[]),
        bell(headers=headers(task="messages.accept")),
        bell(headers=headers(task=["messages.decide"])),
        bell(headers=headers(id="not a UUID")),
        bell(headers=headers(id=7)),
        bell(headers=headers(**{RUNG_AT: "yesterday"})),
        bell(properties=None),
        bell(properties={"delivery_tag": "x"}),
        bell(properties={"delivery_tag": str(uuid4()), "delivery_info": {"routing_key": "accept"}}),
        bell(properties={"delivery_tag": str(uuid4()), "delivery_info": {"routing_key": []}}),
        bell(body=7),
        bell(body="*"),
        bell(body=b64encode(b"\xff").decode()),
        bell({}),
        bell([[["x"]]]),
        bell([[["x"]], {"ids": 1}, {}]),
        bell([[], {}, {}]),
        bell([["x"], {}, {}]),
        bell([[["x"]], {}, []]),
        bell([[["x"]], {}, {"callbacks": [{"task": "messages.deliver"}]}]),
    ],
)
def test_an_invalid_bell_is_refused(payload: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - InvalidBell, or an error of the standard library
        read_bell(payload)


def test_a_body_of_endless_nesting_is_an_error() -> None:
    with pytest.raises(RecursionError):
        read_bell(bell(body=b64encode(b"[" * 200_000).decode()))
