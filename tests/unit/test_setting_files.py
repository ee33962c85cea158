"""A setting can be in a file that a variable names: then the environment shows no secret."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support import build
from tests.support.processes import ROOT

_PEPPER = "pepper of this test, thirty-two characters"
_READ = (
    "from delivery.settings import settings_from_environment as read;"
    "s = read(); print(s.pepper.get_secret_value(), s.hold_days, s.broker_url.get_secret_value(), sep='|')"
)


def read(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own that has exactly this environment."""
    command = [sys.executable, "-c", _READ]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def written(folder: Path, name: str, content: str | bytes) -> str:
    """Write a file, and return its path."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder / name)


def test_any_setting_is_read_from_its_file_without_the_line_end_behind_it(tmp_path: Path) -> None:
    ended = read(
        {
            "POSTROOM_PEPPER_FILE": written(tmp_path, "pepper", f"{_PEPPER}\n"),
            "POSTROOM_HOLD_DAYS_FILE": written(tmp_path, "days", "3"),
            "BROKER_URL": "redis://api@broker:6379/0",
            "BROKER_PASSWORD_FILE": written(tmp_path, "broker", "p@:/%w"),
        }
    )

    assert [_PEPPER, "3.0", "redis://api:p%40%3A%2F%25w@broker:6379/0"] == ended.stdout.strip().split("|"), ended.stderr


def test_an_empty_file_counts_as_no_value(tmp_path: Path) -> None:
    ended = read({"POSTROOM_PEPPER": _PEPPER, "POSTROOM_HOLD_DAYS_FILE": written(tmp_path, "days", "\n")})

    assert f"{_PEPPER}|7.0|redis://localhost:6379/0" == ended.stdout.strip()


def test_files_that_cannot_be_used_are_named_one_a_line_and_nothing_of_them_is_shown(tmp_path: Path) -> None:
    ended = read(
        {
            "POSTROOM_PEPPER_FILE": str(tmp_path / "absent"),
            "POSTROOM_HOLD_DAYS": "3",
            "POSTROOM_HOLD_DAYS_FILE": written(tmp_path, "days", "3"),
            "POSTROOM_SEALING_KEY_FILE": written(tmp_path, "key", b"hunter\xff"),
        }
    )

    assert 1 == ended.returncode
    assert "Traceback" not in ended.stderr
    assert "hunter" not in ended.stderr
    lines = dict(line.strip().split(": ", 1) for line in ended.stderr.splitlines()[1:])
    assert {
        "POSTROOM_PEPPER_FILE": "the file cannot be read (No such file or directory)",
        "POSTROOM_HOLD_DAYS_FILE": "POSTROOM_HOLD_DAYS has a value too; leave one of them out",
        "POSTROOM_SEALING_KEY_FILE": "the file is no text in UTF-8",
    } == lines


def test_a_file_with_a_windows_line_end_is_read_and_one_with_two_lines_is_refused(tmp_path: Path) -> None:
    one = read({"POSTROOM_PEPPER_FILE": written(tmp_path, "pepper", f"{_PEPPER}\r\n")})
    two = read({"POSTROOM_PEPPER_FILE": written(tmp_path, "peppers", f"{_PEPPER}\n{_PEPPER}\n")})

    assert one.stdout.startswith(f"{_PEPPER}|")
    assert (1, True) == (two.returncode, "POSTROOM_PEPPER: " in two.stderr)


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("postgresql://api@db/postroom", "postgresql://api:p%40%3A%2F%25w@db/postroom"),
        (
            "postgres://api@db:5433/postroom?sslmode=require",
            "postgresql://api:p%40%3A%2F%25w@db:5433/postroom?sslmode=require",
        ),
        ("postgresql://api@a,b/postroom", "postgresql://api:p%40%3A%2F%25w@/postroom?host=a,b&port=5432,5432"),
    ],
)
def test_the_password_of_the_database_may_hold_any_character(url: str, complete: str) -> None:
    settings = build.settings(database_url=url, database_password="p@:/%w")

    assert complete == settings.database_url.get_secret_value()
    assert "p@:/%w" == make_url(complete).password


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://broker:6379/0", "redis://:pw@broker:6379/0"),
        ("rediss://api@broker", "rediss://api:pw@broker"),
        ("unix:///run/valkey.sock?db=0", "unix://:pw@/run/valkey.sock?db=0"),
    ],
)
def test_the_password_of_the_broker_goes_into_every_form_of_its_address(url: str, complete: str) -> None:
    assert complete == build.settings(broker_url=url, broker_password="pw").broker_url.get_secret_value()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"database_url": "postgresql://a:b@db/p", "database_password": "hunter2"}, "leave one of them out"),
        ({"database_url": "postgresql://db/p", "database_password": "hunter2"}, "names no user"),
        ({"broker_url": "redis://a:b@broker", "broker_password": "hunter2"}, "leave one of them out"),
    ],
)
def test_a_password_that_has_no_place_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build.settings(**changes)
