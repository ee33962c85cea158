"""`postroom database-roles` and `postroom broker-users` read a password for each login, and refuse half a set."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from delivery.records.database import Database, transaction
from delivery.records.rights import DatabaseRole
from tasks.broker.access import BrokerUser, access_list
from worker.cli.app import app

pytestmark = pytest.mark.usefixtures("only_here")
_WORD = "a password of thirty-two characters, "


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """Make a folder with every password."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in (
        *(role.replace("postroom_", "database-") for role in DatabaseRole),
        *(f"broker-{u}" for u in BrokerUser),
    ):
        (folder / name).write_text(f"{_WORD}{name}\n", encoding="ascii")
    return folder


def test_database_roles_can_log_in_afterwards_and_it_is_safe_to_repeat(
    command: Callable[..., Any], database: Database, passwords: Path
) -> None:
    ended = [command(app, "database-roles", "--passwords", passwords) for _ in range(2)]

    assert [0, 0] == [each.exit_code for each in ended], ended[0].output
    with transaction(database) as db:
        found = db.exec_driver_sql("SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper").scalars().all()
    assert set(map(str, DatabaseRole)) <= set(found)


def test_broker_users_writes_a_list_that_the_broker_can_read(
    command: Callable[..., Any], passwords: Path, tmp_path: Path
) -> None:
    file = tmp_path / "users.acl"

    ended = command(app, "broker-users", file, "--passwords", passwords)

    assert 0 == ended.exit_code, ended.output
    assert access_list({user: f"{_WORD}broker-{user}" for user in BrokerUser}) == file.read_text(encoding="ascii")
    assert 0o644 == stat.S_IMODE(file.stat().st_mode)
    assert _WORD not in ended.output


@pytest.mark.parametrize("words", [("database-roles",), ("broker-users", "users.acl")])
def test_missing_and_short_passwords_are_named_and_nothing_is_done(
    command: Callable[..., Any], passwords: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    for kind in ("database", "broker"):
        (passwords / f"{kind}-api").write_text("hunter2", encoding="ascii")
        (passwords / f"{kind}-worker").unlink()

    ended = command(app, *words, "--passwords", passwords)

    assert 1 == ended.exit_code
    assert "-api has fewer than 32 characters" in ended.output
    assert "-worker cannot be read (No such file or directory)" in ended.output
    assert "hunter2" not in ended.output
    assert not (tmp_path / "users.acl").exists()
