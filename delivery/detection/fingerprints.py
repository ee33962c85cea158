"""Fingerprints: texts that read the same, or nearly the same, have one.

The fingerprint hashes each distinct word and keeps the six smallest hashes. A text in which a few of many words are
exchanged mostly keeps them, whatever the order of its words is. Words with digits and short words are left out: they
differ between copies of one text (numbers, links, greetings).
"""

import hashlib

from delivery.detection.folding import fold

_KEPT = 6
_SHORTEST = 4


def text_fingerprint(subject: str, body: str) -> int:
    """Return the fingerprint of a message's text, a signed number of 64 bits."""
    words = set(fold(f"{subject}\n{body}").words)
    telling = {word for word in words if len(word) >= _SHORTEST and word.isalpha()} or words
    smallest = sorted(_hash(word) for word in telling)[:_KEPT]
    return int.from_bytes(hashlib.blake2b(b"".join(smallest), digest_size=8).digest(), signed=True)


def _hash(word: str) -> bytes:
    return hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
