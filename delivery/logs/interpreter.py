"""Check that the running Python is not far behind the fixes of its branch."""

import sys

import structlog

# A release of each branch that an older one should be updated to. Newer branches are not looked at.
FIXED_IN = {(3, 11): 14, (3, 12): 12, (3, 13): 9}


def missing_fixes(version: tuple[int, ...]) -> str | None:
    """Return the release to update to, such as `3.11.14`; None when this version needs no update."""
    major, minor, patch = version[:3]
    fixed_in = FIXED_IN.get((major, minor))
    return None if fixed_in is None or patch >= fixed_in else f"{major}.{minor}.{fixed_in}"


def log_missing_fixes(version: tuple[int, ...] = sys.version_info[:3]) -> None:
    """Log one line when the interpreter lacks known security fixes. The process starts all the same."""
    fixed_in = missing_fixes(version)
    if fixed_in is not None:
        structlog.get_logger().warning("interpreter_outdated", running=".".join(map(str, version)), fixed_in=fixed_in)
