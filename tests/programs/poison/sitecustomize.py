"""Foreign code that dies on a certain text, as a library with a bug in C would: the process ends as by `kill -9`.

The word `poison` kills whoever compares texts (the deciding worker), an address that begins with it whoever sends mail.
"""

import os
import signal
import smtplib
import unicodedata
from typing import Any

_normalize, _send = unicodedata.normalize, smtplib.SMTP.send


def _die_of(text: str) -> None:
    if "poison" in text:
        os.kill(os.getpid(), signal.SIGKILL)


def normalize(form: Any, text: str) -> str:
    """Normalize a text, or die of it."""
    _die_of(text)
    return _normalize(form, text)


def send(self: smtplib.SMTP, what: Any) -> None:
    """Send to the relay, or die of the recipient that is named."""
    if bytes(what).startswith(b"RCPT"):
        _die_of(bytes(what).decode())
    _send(self, what)


unicodedata.normalize = normalize
smtplib.SMTP.send = send  # type: ignore[method-assign] # that is the point
