"""Labelled scenes: messages with their history and the verdict of a careful person, one JSON object a line."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from delivery.detection.facts import UNKNOWN, FactValue
from delivery.detection.text_facts import MessageText
from delivery.intake.fields import has_forbidden, is_blank

_NOTES = "x_"
_LINE_LIMIT = 2_000_000

Count = Annotated[int, Field(ge=0, strict=True)]


class InvalidScenes(ValueError):  # noqa: N818 - the fault of the file's author, named as such
    """A file that is no file of scenes. The text names line, field and reason."""


def _check_line(text: str) -> str:
    if has_forbidden(text, is_body=False):
        raise ValueError("must be one line without control or text-direction characters")
    if is_blank(text):
        raise ValueError("has no visible text")
    return text


def _check_body(text: str) -> str:
    if has_forbidden(text, is_body=True):
        raise ValueError("must not contain control characters")
    if is_blank(text):
        raise ValueError("has no visible text")
    return text


def _check_bytes(text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > 254:
        raise ValueError("has more than 254 bytes")
    return text


class _ScenePart(BaseModel):
    """A part of a scene. A name that is not a field, and a wrong type, are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SceneSender(_ScenePart):
    """The sender, and what was known of it."""

    name: Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_check_line)]
    email: Annotated[str, AfterValidator(_check_bytes)] | None = None
    messages_before: Count = 0
    refused_before: Count = 0
    reports_before: Count = 0
    first_seen_days: Count = 0


class SceneClient(_ScenePart):
    """The client that the message came through."""

    trust: Literal["normal", "trusted", "watched"] = "normal"


class SceneRecipient(_ScenePart):
    """What went on between the sender and a recipient before."""

    known_days: Count | None = None
    sender_wrote_before: Count = 0
    replied_to_sender: Count = 0


class SameText(_ScenePart):
    """Messages with the same text in the 24 hours before."""

    by_sender: Count = 0
    by_others: Count = 0


class Scene(_ScenePart):
    """A scene. Its label and what stands beside it are for the summary; rules cannot read them."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    family: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")] = "none"
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")] = "und"
    label: Literal["hold", "pass"] | None = None
    difficulty: Literal["plain", "twin", "evasive"] = "plain"
    type: Literal["rfq", "job", "other"] = "other"
    sender: SceneSender
    client: SceneClient = SceneClient()
    recipients: Annotated[tuple[SceneRecipient, ...], Field(min_length=1, max_length=25, strict=False)] = (
        SceneRecipient(),
    )
    same_text_recent: SameText = SameText()
    subject: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_line)]
    body: Annotated[str, Field(min_length=1, max_length=65_536), AfterValidator(_check_body)]

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        for is_wrong, fault in _contradictions(self):
            if is_wrong:
                raise ValueError(fault)
        return self

    @property
    def message(self) -> MessageText:
        """What rules read of the message."""
        return MessageText(
            subject=self.subject,
            body=self.body,
            sender_name=self.sender.name,
            sender_email=self.sender.email or "",
            type=self.type,
            recipients=len(self.recipients),
            client_trust=self.client.trust,
        )

    @property
    def history(self) -> dict[str, FactValue]:
        """What rules may know of the time before. With several recipients, it is that of the least known one."""
        sender, least = self.sender, min(self.recipients, key=_how_known)
        strange = sum(each.known_days is None for each in self.recipients)
        return {
            "sender.messages": sender.messages_before,
            "sender.refused": sender.refused_before,
            "sender.released": UNKNOWN,
            "sender.reports": sender.reports_before,
            "sender.days": sender.first_seen_days,
            "sender.is_new": sender.messages_before == 0,
            "pair.days": UNKNOWN if least.known_days is None else least.known_days,
            "pair.wrote": least.sender_wrote_before,
            "pair.replies": least.replied_to_sender,
            "pair.unknown_recipients": strange,
            "pair.is_first": strange > 0,
            "repetition.by_sender": self.same_text_recent.by_sender,
            "repetition.by_others": self.same_text_recent.by_others,
        }


def read_scenes(lines: Sequence[bytes]) -> Iterator[Scene]:
    """Read the lines of a file. Raises `InvalidScenes` at the first line that is no scene."""
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        scene = _read_line(number, line)
        if scene.id in seen:
            raise InvalidScenes(f"line {number}, id: there is a scene {scene.id} before.")
        seen.add(scene.id)
        yield scene


def _read_line(number: int, line: bytes) -> Scene:
    try:
        return Scene.model_validate(_without_notes(json.loads(_text(line), **_STRICT)))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(each) for each in fault["loc"]) or "scene"
        raise InvalidScenes(f"line {number}, {place}: {fault['msg'].removeprefix('Value error, ')}.") from error
    except (ValueError, RecursionError) as error:
        reason = "it is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error) or "too deep"
        raise InvalidScenes(f"line {number}: {reason}.") from error


def _text(line: bytes) -> str:
    """Return the text of a line without its end. Raises `ValueError`."""
    if len(line) > _LINE_LIMIT:
        raise ValueError("the line is longer than 2 MB")
    text = line.removesuffix(b"\n").decode()
    if text.startswith("\ufeff") or text.endswith("\r") or not text.strip():
        raise ValueError("write UTF-8 without a byte order mark, LF as line end, and no blank line")
    return text


def _without_notes(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: each for key, each in value.items() if not key.startswith(_NOTES)}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_STRICT: dict[str, Any] = {"object_pairs_hook": _object, "parse_constant": _refuse_constant}


def _how_known(recipient: SceneRecipient) -> tuple[int, int, int]:
    days = UNKNOWN if recipient.known_days is None else recipient.known_days
    return (days, recipient.replied_to_sender, recipient.sender_wrote_before)


def _contradictions(scene: Scene) -> Iterator[tuple[bool, str]]:
    """Yield what must not be true of the counts of a scene, each with its sentence."""
    sender = scene.sender
    yield sender.refused_before > sender.messages_before, "refused_before is above messages_before"
    yield (
        scene.same_text_recent.by_sender > sender.messages_before,
        "same_text_recent.by_sender is above messages_before",
    )
    yield (
        sender.messages_before == 0 and sender.first_seen_days > 0,
        "first_seen_days of a sender without messages is above 0",
    )
    for index, each in enumerate(scene.recipients):
        wrote, replied, days = each.sender_wrote_before, each.replied_to_sender, each.known_days
        yield wrote > sender.messages_before, f"recipients.{index}.sender_wrote_before is above messages_before"
        yield (
            (days is None) != (wrote == replied == 0),
            f"recipients.{index}.known_days must be null exactly if neither wrote",
        )
        is_older = wrote > 0 and days is not None and days > sender.first_seen_days
        yield is_older and replied == 0, f"recipients.{index}.known_days is above first_seen_days"
