"""Read the corpus and write its requests as bytes."""

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
# A word that no answer may echo.
MARK = "Zanzibar"
_MESSAGE = {
    "recipient_uuids": ["{inbox}"],
    "sender_name": f"{MARK} Smith",
    "subject": f"From {MARK}",
    "body": f"A word from {MARK}.\n",
}
_DEFAULT_HEADERS = (
    "Host: postroom.example",
    "X-API-Key: {key}",
    "Prefer: respond-async",
    "Content-Type: application/json",
)
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """One answer: its status (None: malformed), its field errors in order and its `error`, where the case has them."""

    status: int | None
    faults: tuple[tuple[str, str], ...]
    error: str | None


@dataclass(frozen=True)
class HostileRequest:
    """One case; `told` holds its keys as the file has them."""

    group: str
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the case in the whole corpus."""
        return f"{self.group}/{self.told['id']}"

    @cached_property
    def answers(self) -> list[ExpectedAnswer]:
        """The expected answers, in order."""
        answer, times = self.told["answer"], int(self.told.get("times", 1))
        return [_expected(str(each)) for each in (answer if isinstance(answer, list) else [answer])] * times

    @property
    def headers(self) -> Mapping[str, str | None]:
        """The headers of the last answer, with None for those that must be absent."""
        headers: Mapping[str, str | None] = self.told.get("headers", {})
        return headers

    @property
    def stored(self) -> int:
        """How many messages the case stores."""
        return int(self.told.get("stored", sum(each.status == 201 for each in self.answers)))

    @property
    def ends(self) -> bool:
        """Whether the client stops sending after the request."""
        return bool(self.told.get("end"))

    def requests_before(self, values: Values) -> list[bytes]:
        """Return the bytes of the requests that are sent first."""
        return [write(each, {**values, "id": self.name}) for each in self.told.get("before", [])]

    def request(self, values: Values) -> bytes:
        """Return the bytes of the request."""
        return write(self.told, {**values, "id": self.name})


def read_corpus() -> list[HostileRequest]:
    """Return all cases, by file and in the order of the file."""
    files = sorted(_FOLDER.glob("*.yaml"))
    return [
        HostileRequest(file.stem, case) for file in files for case in yaml.safe_load(file.read_text(encoding="utf-8"))
    ]


def write(case: Mapping[str, Any], values: Values) -> bytes:
    """Return a case as the bytes of its request."""
    if "raw" in case:
        return _expand(_with_crlf(case["raw"]), values)
    line = case.get("to", "POST /messages")
    body = _body(case, values, has_message=line.startswith(("POST /messages", "POST /v2/messages")))
    chosen = case.get("with", [])
    dropped = {_name_of(each) for each in chosen} | {each.lower() for each in case.get("without", [])}
    defaults = [*_DEFAULT_HEADERS, f"Content-Length: {len(body)}"] if body is not None else list(_DEFAULT_HEADERS[:3])
    lines = [
        line if " HTTP/" in line else f"{line} HTTP/1.1",
        *(each for each in defaults if _name_of(each) not in dropped),
        *chosen,
    ]
    return _expand("\r\n".join([*lines, "", ""]), values) + (body or b"")


def _body(case: Mapping[str, Any], values: Values, *, has_message: bool) -> bytes | None:
    if "body" in case:
        return _expand(case["body"], values)
    if "lines" in case:
        return _expand(_with_crlf(case["lines"]), values)
    if not has_message and "set" not in case:
        return None
    fields = {**(_MESSAGE if has_message else {}), **case.get("set", {})}
    kept = {name: value for name, value in fields.items() if name not in case.get("drop", [])}
    return _expand(json.dumps(kept, ensure_ascii=False), values)


def _expand(text: str, values: Values) -> bytes:
    text = _NAME.sub(lambda found: values.get(found[1], found[0]), text)
    text = _REPETITION.sub(lambda found: found[2] * int(found[1]), text)
    return _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _with_crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _name_of(line: str) -> str:
    return line.partition(":")[0].lower()


def _expected(text: str) -> ExpectedAnswer:
    status, *words = text.split()
    faults = [word.rpartition("=") for word in words if "=" in word]
    errors = [word[1:] for word in words if word.startswith("!")]
    return ExpectedAnswer(
        None if status == "malformed" else int(status),
        tuple((field, code) for field, _, code in faults),
        errors[0] if errors else None,
    )
