"""Trouble with the relay: since when it takes no mail, in its own words, and what an operator can do."""

import re
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RelayTrouble:
    """The relay has taken no mail since then. `words` is its latest refusal, or the error; it holds no address."""

    since: datetime
    words: str


_ADVICE = (
    (r"certificate|\bssl\b|\btls\b", "Check the relay's certificate, its name, and POSTROOM_SMTP_CA_FILE."),
    (r"^53[0458]\b|authenti|\blog ?in\b|credential", "Check the user and the password in SMTP_URL."),
    (r"too many|connection limit|concurrent", "Lower POSTROOM_SMTP_CONCURRENCY, or run fewer SMTP workers."),
    (r"relay(?:ing)?\b.{0,20}(?:denied|not|prohibited)", "Let the relay take mail from this host, or log in to it."),
    (r"block|list|reputation|spam|banned", "Have this host's address removed from the list that the relay names."),
    (r"^\d{3}\b", "Ask the operator of the relay why it refuses mail of this host."),
)


def relay_advice(words: str) -> str:
    """Return what to do about a refusal in these words."""
    found = (advice for pattern, advice in _ADVICE if re.search(pattern, words, re.IGNORECASE))
    return next(found, "Check that the relay runs, and that SMTP_URL has its host and port.")
