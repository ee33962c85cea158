"""Run a program as another user of this system, with nothing of our own rights, and keep folders from other users."""

import os
import pwd
import stat
from pathlib import Path
from typing import Any


class ForeignFolder(Exception):  # noqa: N818 - a fact about the environment
    """Another user could change what is in a folder; the message names it and says what to do."""


def run_as(user: str | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program as this user; none for the current user.

    With the user alone, the program would keep our groups: as root, group 0.
    """
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def make_private(folder: Path, user: str | None) -> None:
    """Create a folder for this user alone, or take one that is there and always was.

    Raises `ForeignFolder` when it is a link, or when another user owns it or may write to it: that user may have made
    it before us, and could put sockets of their own in it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _foreign(folder) from error
    try:
        found = os.fstat(opened)
        if found.st_uid not in {os.geteuid(), owner} or stat.S_IMODE(found.st_mode) & 0o077:
            raise _foreign(folder)
        if found.st_uid != owner:
            os.fchown(opened, owner, -1)
    finally:
        os.close(opened)


def write_for_owner(path: Path, content: str) -> None:
    """Write a new file that only the owner of its folder can read. A link in its place is removed and not followed."""
    owner = path.parent.stat()
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(content)
        os.fchown(file, owner.st_uid, owner.st_gid)


def _foreign(folder: Path) -> ForeignFolder:
    return ForeignFolder(
        f"{folder} is a link, or belongs to another user, or others may open it. Remove it, or choose another "
        "temporary folder (TMPDIR), and start again."
    )
