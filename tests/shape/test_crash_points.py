"""docs/crash-points.md lists every crash point, and where it is."""

import re

from delivery.crash_points import CrashPoint
from tests.shape.house import ROOT, name_of, python_files

_ROW = re.compile(r"^\| `(\w+)` \| `([\w/]+\.py)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
_CALL = re.compile(r"crash_here\(CrashPoint\.(\w+)\)")


def calls() -> list[tuple[str, str]]:
    """List every crash point in the code with the file that it is in."""
    ours = [path for path in python_files() if path.relative_to(ROOT).parts[0] not in {"tests", "chaos"}]
    return [
        (str(CrashPoint[name]), name_of(path))
        for path in ours
        for name in _CALL.findall(path.read_text(encoding="utf-8"))
    ]


def test_every_crash_point_is_at_exactly_one_place() -> None:
    assert sorted(CrashPoint) == sorted(point for point, _ in calls())


def test_the_list_for_people_names_every_crash_point_and_its_place() -> None:
    listed = _ROW.findall((ROOT / "docs" / "crash-points.md").read_text(encoding="utf-8"))

    assert sorted(calls()) == sorted(listed)
