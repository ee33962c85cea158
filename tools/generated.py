"""Write or compare the generated part of a document, which stands between two markers."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def markers(name: str) -> tuple[str, str]:
    """Return the lines before and after the generated part of this name."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def read_part(document: str, name: str) -> str:
    """Return the generated part of a document, without its markers.

    `document` is a path relative to the checkout. Raises `ValueError` when a marker is missing.
    """
    return _split(document, name)[1].strip()


def keep_part(document: str, name: str, wanted: str) -> None:
    """Write the generated part into a document; with `--check` on the command line, compare it instead.

    Raises `SystemExit` when the comparison fails.
    """
    before, part, after = _split(document, name)
    if "--check" not in sys.argv[1:]:
        (ROOT / document).write_text(f"{before}\n{wanted}\n{after}", encoding="utf-8")
    elif part.strip() != wanted.strip():
        sys.exit(f"The part `{name}` of {document} is out of date. Run: make format")


def _split(document: str, name: str) -> tuple[str, str, str]:
    """Return the text up to the first marker, between the markers, and from the second one on."""
    begin, end = markers(name)
    head, rest = (ROOT / document).read_text(encoding="utf-8").split(begin)
    part, tail = rest.split(end)
    return head + begin, part, end + tail
