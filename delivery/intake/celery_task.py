"""Read a Celery task (message protocol 2) that any program may have pushed, as strictly as a request."""

import binascii
from base64 import b64decode
from collections.abc import Mapping

from delivery.intake.errors import InvalidInput, body_fault
from delivery.intake.kombu_types import read_kombu_types
from delivery.intake.strict_json import DEPTH_LIMIT, read_object, read_value
from delivery.vocabulary import StepName

BODY_LIMIT_BYTES = 1024 * 1024
# Base64 makes four bytes of three. The rest is for the headers, where Celery repeats the arguments, shortened.
TASK_LIMIT_BYTES = 2 * BODY_LIMIT_BYTES


def read_celery_task(task: bytes) -> Mapping[str, object]:
    """Return the keyword arguments of a task `messages.accept`. Callbacks, ETA, expiry and retries are ignored.

    Raises `InvalidInput` with one fault of the task as a whole.
    """
    if len(task) > TASK_LIMIT_BYTES:
        raise _too_long()
    message = read_object(task)
    _check_headers(message)
    body = _body(message)
    if len(body) > BODY_LIMIT_BYTES:
        raise _too_long()
    # The fields are one level deeper than in a request: in the list of arguments.
    return _keywords(read_value(body, DEPTH_LIMIT + 1))


def _check_headers(message: Mapping[str, object]) -> None:
    headers = message.get("headers")
    if not isinstance(headers, dict) or "task" not in headers:
        raise _no_celery_task("It has no headers with a task name: send Celery's task protocol 2.")
    if headers["task"] != StepName.ACCEPT:
        raise _no_celery_task(f"This queue takes the task {StepName.ACCEPT} and no other.")
    if headers.get("compression"):
        raise _no_celery_task("Compressed tasks are not taken.")
    if message.get("content-type") != "application/json":
        raise _no_celery_task("Only the serializer json is taken.")
    if str(message.get("content-encoding") or "utf-8").lower() != "utf-8":
        raise _no_celery_task("Only the encoding utf-8 is taken.")


def _body(message: Mapping[str, object]) -> bytes:
    body, properties = message.get("body"), message.get("properties")
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    if not isinstance(body, str):
        raise _no_celery_task("It has no body.")
    if encoding != "base64":
        return body.encode()
    try:
        return b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no_celery_task("Its body is not base64, as body_encoding says.") from error


def _keywords(arguments: object) -> Mapping[str, object]:
    if not isinstance(arguments, list) or len(arguments) not in {2, 3}:
        raise _no_celery_task("Its body is not a list of args, kwargs and embed.")
    positional, keywords = arguments[:2]
    if positional != []:
        raise _no_celery_task("Give every field by its name (kwargs) and none by position (args).")
    if not isinstance(keywords, dict):
        raise _no_celery_task("Its kwargs are not an object.")
    return read_kombu_types(keywords)


def _no_celery_task(reason: str) -> InvalidInput:
    return body_fault("invalid_request", f"The task cannot be read. {reason}")


def _too_long() -> InvalidInput:
    return body_fault("too_long", f"The task's body has more than {BODY_LIMIT_BYTES} bytes.")
