"""Receiving bells: a valid bell passes with its step, time and ids, and everything else is refused."""

import json
import random
from base64 import b64decode, b64encode
from typing import Any
from uuid import UUID, uuid4

import pytest

from delivery.vocabulary import QueueName
from tasks.broker.bell_consumer import BellChannel
from tasks.broker.bell_format import RUNG_AT
from tasks.broker.bell_reader import BELL_LIMIT_BYTES, InvalidBell, read_bell
from tests.support.hostile_payloads import hostile_payloads

RUNG = "2026-11-24T12:00:00+00:00"
ID = "31c8d3e7-0000-4000-8000-00000000000a"


def bell(arguments: object = None, **overrides: Any) -> dict[str, Any]:
    """Make a bell as Celery's `send_task` does; the arguments replace parts of a valid one."""
    body = json.dumps([[[ID]], {}, {"callbacks": None, "chord": None}] if arguments is None else arguments).encode()
    return {
        "body": b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "messages.decide", "id": str(uuid4()), RUNG_AT: RUNG, "argsrepr": "(['x'],)"},
        "properties": {"delivery_tag": str(uuid4()), "delivery_info": {"exchange": "", "routing_key": "decide"}},
        **overrides,
    }


def read(payload: object, queue_name: str = QueueName.DECIDE) -> dict[str, Any]:
    """Read a payload from a queue, written as JSON unless it is bytes already."""
    return read_bell(payload if isinstance(payload, bytes) else json.dumps(payload).encode(), queue_name)


def ids_in(received: dict[str, Any]) -> list[object]:
    """Return the ids in a bell that was read."""
    ids: list[object] = json.loads(b64decode(received["body"]))[0][0]
    return ids


def kombu_reads(received: dict[str, Any]) -> object:
    """Return what kombu decodes of a bell that was read."""
    channel: Any = BellChannel
    return channel.Message(received, channel=channel.__new__(channel)).decode()


def headers(**chosen: object) -> dict[str, object]:
    """Make the headers of a bell."""
    return {"task": "messages.decide", "id": str(uuid4()), RUNG_AT: RUNG, **chosen}


def test_a_valid_bell_passes_with_its_step_its_time_and_its_ids_only() -> None:
    received = read(bell(headers=headers(eta="2099-01-01T00:00:00", expires=1, shadow="x", compression="gzip")))

    assert {"lang", "task", "id", RUNG_AT} == set(received["headers"])
    assert ("messages.decide", RUNG) == (received["headers"]["task"], received["headers"][RUNG_AT])
    assert [ID] == ids_in(received)


@pytest.mark.parametrize(
    "foreign",
    [{"__type__": "uuid", "__value__": {"nope": 1}}, None, True, 0, -1, 7, 2**63, 1.5, "x", "\u2603" * 36, ID + "\n"],
)
def test_a_bell_with_an_id_that_is_none_of_its_step_is_no_bell(foreign: object) -> None:
    with pytest.raises(InvalidBell):
        read(bell([[[ID, foreign]], {}, {}]))


def test_a_bell_for_deliveries_holds_the_numbers_of_recipients() -> None:
    received = read(bell([[[7, 2**62]], {}, {}], headers=headers(task="messages.deliver")), QueueName.DELIVER_SMTP)

    assert [7, 2**62] == ids_in(received)


def test_a_bell_is_of_the_list_it_lay_in_and_has_a_tag_of_our_own() -> None:
    payload = bell(properties={"delivery_tag": "x", "delivery_info": {"routing_key": "accept"}})

    properties = read(payload)["properties"]

    assert "decide" == properties["delivery_info"]["routing_key"]
    assert UUID(properties["delivery_tag"])


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "decide",
        [],
        {},
        b"",
        b"\xff",
        b"[" * (BELL_LIMIT_BYTES - 1),
        b"9" * 5000,
        b'{"__type__":"uuid","__value__":{"nope":1}}',
        b'{"a":{"__type__":"datetime","__value__":5}}',
        b'{"a":{"__type__":"decimal","__value__":"x"}}',
        b'{"__type__":[],"__value__":1}',
        bell(headers=None),
        bell(headers=[]),
        bell(headers=headers(task="messages.accept")),
        bell(headers=headers(task="messages.deliver")),
        bell(headers=headers(task=["messages.decide"])),
        bell(headers=headers(id="not a UUID")),
        bell(headers=headers(id=7)),
        bell(headers=headers(**{RUNG_AT: "yesterday"})),
        bell(body=7),
        bell(body="*"),
        bell(body="\u2603"),
        bell(body=b64encode(b"\xff").decode()),
        bell(body=b64encode(b"[" * 90_000).decode()),
        bell({}),
        bell([[["x"]]]),
        bell([[[ID]], {"ids": 1}, {}]),
        bell([[], {}, {}]),
        bell([[[]], {}, {}]),
        bell([["x"], {}, {}]),
        bell([[[ID]], {}, []]),
        bell([[[ID]], {}, {"callbacks": [{"task": "messages.deliver"}]}]),
        bell([[[ID] * 4000], {}, {}]),
    ],
)
def test_an_invalid_bell_is_refused(payload: object) -> None:
    with pytest.raises(InvalidBell):
        read(payload)


def test_no_bell_is_read_from_a_queue_of_no_bells() -> None:
    with pytest.raises(InvalidBell):
        read(bell(headers=headers(task="messages.accept")), "accept")


@pytest.mark.parametrize("queue_name", [QueueName.DECIDE, QueueName.VETTING, QueueName.DELIVER_SMTP])
def test_of_ten_thousand_hostile_payloads_none_raises_anything_else_and_what_passes_holds_only_ids(
    queue_name: QueueName,
) -> None:
    passed = 0
    for raw in hostile_payloads(10_000, queue_name, chance=random.Random(queue_name)):
        try:
            received = read_bell(raw, queue_name)
        except InvalidBell:
            continue
        passed += 1
        assert all(isinstance(each, str | int) for each in ids_in(received))
        assert kombu_reads(received)

    assert 0 < passed < 10_000
