"""`postroom up` restarts every process that stops, and stops all of them on SIGTERM and Ctrl-C."""

import signal
import socket
from time import monotonic

import psutil
import pytest

from tests.support.platform import Platform, postroom, short_folder
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("supervisor")

CHILDREN = ("-m api_stub", "worker decide", "worker smtp", "worker sink", "valkey-server", "bin/postgres")


def test_every_killed_child_runs_again_within_five_seconds(own_platform: Platform) -> None:
    killed = {words: own_platform.child(words).pid for words in CHILDREN}

    for pid in killed.values():
        psutil.Process(pid).kill()

    wait_until(lambda: _all_replaced(own_platform, killed), within_s=5)
    wait_until(lambda: _is_delivered(own_platform), within_s=10)


def test_sigterm_stops_everything_within_twenty_seconds(own_platform: Platform) -> None:
    started_at = monotonic()

    code = own_platform.stop(signal.SIGTERM)

    assert 0 == code
    assert monotonic() - started_at < 20
    assert [] == own_platform.processes()


def test_ctrl_c_stops_everything(own_platform: Platform) -> None:
    code = own_platform.stop(signal.SIGINT)

    assert 0 == code
    assert [] == own_platform.processes()


def test_after_the_supervisor_was_killed_the_next_start_has_every_message(own_platform: Platform) -> None:
    sent = own_platform.post("inbox-01", "email-01")
    own_platform.stop(signal.SIGKILL)
    orphans = {process.pid for process in own_platform.processes()}

    own_platform.start()

    again = own_platform.get(sent.headers["location"]).json()
    assert ("sent", "delivered") == (again["meta"]["status"], again["meta"]["status_reason"])
    assert ["email-01@members.postroom.localhost"] == own_platform.mails()[0]["rcpt_to"]
    assert orphans
    assert not orphans & {process.pid for process in own_platform.processes()}


def test_a_second_start_from_the_same_data_is_refused_with_a_sentence(own_platform: Platform) -> None:
    second = postroom("up", "--port", str(free_port()), "--data", str(own_platform.data), cwd=own_platform.data.parent)

    assert 1 == second.returncode
    assert "it is already running from" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_reported_in_one_sentence() -> None:
    with short_folder() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        answer = postroom("up", "--port", str(port), "--data", str(folder / "var"), cwd=folder)

    assert 1 == answer.returncode
    assert [f"postroom: port {port} cannot be used (address already in use). Choose another: make up PORT=8090"] == (
        answer.stderr.splitlines()
    )


def _all_replaced(platform: Platform, killed: dict[str, int]) -> bool:
    try:
        return all(platform.child(words).pid != pid for words, pid in killed.items())
    except (LookupError, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def _is_delivered(platform: Platform) -> bool:
    answer = platform.post("inbox-02", "email-02")
    return answer.status_code == 201 and answer.json()["meta"]["status_reason"] == "delivered"


def test_an_invalid_setting_is_named_before_anything_starts() -> None:
    with short_folder() as folder:
        invalid = {"POSTROOM_TOKEN_LIFETIME_S": "5"}
        answer = postroom("up", "--port", str(free_port()), "--data", str(folder / "var"), cwd=folder, more=invalid)

    assert 1 == answer.returncode
    assert "POSTROOM_TOKEN_LIFETIME_S" in answer.stderr
    assert "Traceback" not in answer.stderr
