"""Foreign code that dies on a certain text, as a library with a bug in C would: the process ends as by `kill -9`.

The word `poison` kills whoever compares texts (the deciding worker), an address that begins with it whoever sends mail.
"""

import os
import signal
import smtplib
import threading
import unicodedata
from typing import Any

# Long enough for every hand of a worker to hold a mail when it dies.
_WAY_TO_THE_RELAY_S = 0.2
_normalize, _send = unicodedata.normalize, smtplib.SMTP.send


def _die_of(text: str) -> None:
    if "poison" in text:
        os.kill(os.getpid(), signal.SIGKILL)


def normalize(form: Any, text: str) -> str:
    """Normalize a text, or die of it."""
    _die_of(text)
    return _normalize(form, text)


def send(self: smtplib.SMTP, what: Any) -> None:
    """Send to the relay, which is some way off, or die of the recipient that is named."""
    words = what if isinstance(what, str) else bytes(what).decode()
    if "RCPT" in words:
        threading.Event().wait(_WAY_TO_THE_RELAY_S)
        _die_of(words)
    _send(self, what)


unicodedata.normalize = normalize
smtplib.SMTP.send = send  # type: ignore[assignment, method-assign] # that is the point
