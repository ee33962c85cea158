"""docs/crash-points.md lists every crash point and its file."""

import re

from delivery.crash_points import CrashPoint
from tests.shape.codebase import is_product, name_of, python_files, read_text

_ROW = re.compile(r"^\| `(\w+)` \| `([\w/]+\.py)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
_CALL = re.compile(r"crash_here\(CrashPoint\.(\w+)\)")


def calls() -> list[tuple[str, str]]:
    """Return every crash point in the code with the file that it is in."""
    return [
        (str(CrashPoint[name]), name_of(path))
        for path in python_files()
        if is_product(path)
        for name in _CALL.findall(path.read_text(encoding="utf-8"))
    ]


def test_every_crash_point_is_at_exactly_one_place() -> None:
    assert sorted(CrashPoint) == sorted(point for point, _ in calls())


def test_the_document_lists_every_crash_point_and_its_file() -> None:
    listed = _ROW.findall(read_text("docs/crash-points.md"))

    assert sorted(calls()) == sorted(listed)
