"""Kill the process on a certain text, as a library with a bug in C would: it ends as by `kill -9`.

The character `☠` in a text kills the worker that decides the message: it is normalized as it is folded. The word
`poison` in an address kills the worker that sends the mail.
"""

import os
import signal
import smtplib
import threading
import unicodedata
from typing import Any

# Long enough for every thread of a worker to have a mail under way when the process is killed.
_RELAY_DELAY_S = 0.2
_normalize, _send = unicodedata.normalize, smtplib.SMTP.send


def _crash_on(text: str) -> None:
    if "poison" in text or "☠" in text:
        os.kill(os.getpid(), signal.SIGKILL)


def normalize(form: Any, text: str) -> str:
    """Normalize a text, or crash on it."""
    _crash_on(text)
    return _normalize(form, text)


def send(self: smtplib.SMTP, what: Any) -> None:
    """Send to the relay after a delay, or crash on the address of the recipient."""
    text = what if isinstance(what, str) else bytes(what).decode()
    if "RCPT" in text:
        threading.Event().wait(_RELAY_DELAY_S)
        _crash_on(text)
    _send(self, what)


unicodedata.normalize = normalize
smtplib.SMTP.send = send  # type: ignore[assignment, method-assign] # that is the point
