"""Reading the corpus, and writing its requests as bytes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent
_REPETITION = re.compile(r"\{(\d+)\*(.*?)\}", re.DOTALL)
_NAME = re.compile(r"\{(\w+)\}")
_BYTE = re.compile(rb"\\x([0-9a-f]{2})")
# The word that an answer must never echo.
MARK = "Zanzibar"
_MESSAGE = {
    "recipient_uuids": ["{inbox}"],
    "sender_name": f"{MARK} Smith",
    "subject": f"From {MARK}",
    "body": f"A word from {MARK}.\n",
}
_USUAL = ("Host: postroom.example", "X-API-Key: {key}", "Prefer: respond-async", "Content-Type: application/json")
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """One answer: its status (None: malformed), its faults in their order and its `error`, where they are told."""

    status: int | None
    faults: tuple[tuple[str, str], ...]
    error: str | None


@dataclass(frozen=True)
class HostileRequest:
    """One case; `told` is what the file says of it."""

    group: str
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the case in the whole corpus."""
        return f"{self.group}/{self.told['id']}"

    @cached_property
    def answers(self) -> list[ExpectedAnswer]:
        """What is answered, one after the other."""
        told, times = self.told["answer"], int(self.told.get("times", 1))
        return [_expected(str(each)) for each in (told if isinstance(told, list) else [told])] * times

    @property
    def headers(self) -> Mapping[str, str | None]:
        """What the last answer's headers say, or None for those that must not be there."""
        headers: Mapping[str, str | None] = self.told.get("headers", {})
        return headers

    @property
    def stored(self) -> int:
        """How many messages it stores."""
        return int(self.told.get("stored", sum(each.status == 201 for each in self.answers)))

    @property
    def ends(self) -> bool:
        """Say whether the client stops sending after the request."""
        return bool(self.told.get("end"))

    def requests_before(self, values: Values) -> list[bytes]:
        """Write the requests that come first."""
        return [write(each, {**values, "id": self.name}) for each in self.told.get("before", [])]

    def request(self, values: Values) -> bytes:
        """Write the request."""
        return write(self.told, {**values, "id": self.name})


def read_corpus() -> list[HostileRequest]:
    """Read all cases, by file and in their order."""
    files = sorted(_FOLDER.glob("*.yaml"))
    return [
        HostileRequest(file.stem, told) for file in files for told in yaml.safe_load(file.read_text(encoding="utf-8"))
    ]


def write(told: Mapping[str, Any], values: Values) -> bytes:
    """Write what a case says as the bytes of its request."""
    if "raw" in told:
        return _expand(_with_crlf(told["raw"]), values)
    line = told.get("to", "POST /messages")
    body = _body(told, values, has_message=line.startswith(("POST /messages", "POST /v2/messages")))
    given = told.get("with", [])
    dropped = {_name_of(each) for each in given} | {each.lower() for each in told.get("without", [])}
    usual = [*_USUAL, f"Content-Length: {len(body)}"] if body is not None else list(_USUAL[:3])
    lines = [
        line if " HTTP/" in line else f"{line} HTTP/1.1",
        *(each for each in usual if _name_of(each) not in dropped),
        *given,
    ]
    return _expand("\r\n".join([*lines, "", ""]), values) + (body or b"")


def _body(told: Mapping[str, Any], values: Values, *, has_message: bool) -> bytes | None:
    if "body" in told:
        return _expand(told["body"], values)
    if "lines" in told:
        return _expand(_with_crlf(told["lines"]), values)
    if not has_message and "set" not in told:
        return None
    fields = {**(_MESSAGE if has_message else {}), **told.get("set", {})}
    kept = {name: value for name, value in fields.items() if name not in told.get("drop", [])}
    return _expand(json.dumps(kept, ensure_ascii=False), values)


def _expand(text: str, values: Values) -> bytes:
    text = _NAME.sub(lambda found: values.get(found[1], found[0]), text)
    text = _REPETITION.sub(lambda found: found[2] * int(found[1]), text)
    return _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _with_crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _name_of(line: str) -> str:
    return line.partition(":")[0].lower()


def _expected(told: str) -> ExpectedAnswer:
    status, *words = told.split()
    faults = [word.rpartition("=") for word in words if "=" in word]
    errors = [word[1:] for word in words if word.startswith("!")]
    return ExpectedAnswer(
        None if status == "malformed" else int(status),
        tuple((field, code) for field, _, code in faults),
        errors[0] if errors else None,
    )
