"""The embedded servers have no rights but their own, and no other user of the machine reaches them."""

import os
import pwd
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.servers import Servers
from worker.embedded.servers import prepare_valkey
from worker.embedded.system_user import ForeignFolder, make_private, run_as

_needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as other users")


def test_a_folder_of_our_own_is_made_and_taken_again(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"

    make_private(folder, None)
    make_private(folder, None)

    assert 0o700 == folder.stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o710])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(ForeignFolder, match="others may open it"):
        make_private(folder, None)


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "sockets").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ForeignFolder, match="is a link"):
        make_private(tmp_path / "sockets", None)


@_needs_root
def test_a_folder_that_another_user_made_first_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the folder as that user would, at the name that follows from the long path of the data."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = tmp_path / ("long" * 25)
    prepare_valkey(data)
    (folder,) = tmp_path.glob("postroom-*")
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)

    with pytest.raises(ForeignFolder, match="belongs to another user"):
        prepare_valkey(data)


@_needs_root
def test_postgresql_runs_in_its_own_group_alone(servers: Servers) -> None:
    with psycopg.connect(servers.postgres_url) as db:
        (pid,) = db.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        process = psutil.Process(pid)
        groups = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Groups:")]
        # The process ends with the connection.
        own, ids = pwd.getpwnam(process.username()), tuple(process.gids())

    assert 0 != own.pw_uid
    assert (own.pw_gid,) * 3 == ids
    assert ["Groups:"] == [line.strip() for line in groups]


@_needs_root
def test_another_user_is_no_role_even_where_the_socket_is_reached(servers: Servers) -> None:
    """Connect as the user of the server itself, who may open the folder of the socket."""
    with psycopg.connect(servers.postgres_url) as db:
        (pid, folder) = db.execute(
            "SELECT pg_backend_pid(), split_part(current_setting('unix_socket_directories'), ',', 1)"
        ).fetchone() or (0, "")
        program = Path(psutil.Process(pid).exe()).with_name("psql")
        user = psutil.Process(pid).username()

    command = [str(program), "--host", folder, "--username", "postgres", "--command", "SELECT 1", "postgres"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **run_as(user))

    assert (2, True) == (done.returncode, "Peer authentication failed" in done.stderr), done.stderr
