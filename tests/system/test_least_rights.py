"""What the servers of `make up` refuse: questions to the real ones, with the addresses that its programs have."""

import json
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import psycopg
import pytest
import redis

from tests.support.direct_sends import envelope, fields
from tests.support.platform import Platform
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x ()",
        "CREATE ROLE x",
        "DROP TABLE message",
        "TRUNCATE message",
        "COPY client FROM PROGRAM 'id'",
        "UPDATE alembic_version SET version_num = ''",
    ],
)
def test_the_programs_may_only_read_and_write_rows(platform: Platform, statement: str) -> None:
    with psycopg.connect(platform.facts["database_url"]) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())


def test_the_role_of_the_programs_is_no_superuser(platform: Platform) -> None:
    with psycopg.connect(platform.facts["database_url"]) as db:
        found = db.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert (False,) * 5 == found


@pytest.mark.parametrize("command", ["CONFIG GET *", "MONITOR", "FLUSHALL", "SHUTDOWN", "ACL LIST"])
def test_the_broker_refuses_the_commands_of_its_administrator(platform: Platform, command: str) -> None:
    with (
        redis.Redis.from_url(platform.facts["broker_url"]) as broker,
        pytest.raises(redis.ResponseError, match="no perm"),
    ):
        broker.execute_command(*command.split())


def test_the_broker_is_bounded_and_evicts_nothing(platform: Platform) -> None:
    with redis.Redis.from_url(platform.facts["broker_url"]) as broker:
        memory = broker.info("memory")

    assert (256 * 1024 * 1024, "noeviction") == (memory["maxmemory"], memory["maxmemory_policy"])


def test_every_process_can_do_its_work_with_its_own_rights(own_platform: Platform) -> None:
    platform = own_platform
    url, headers = platform.facts["base_url"], platform.headers
    account = f"{url}/accounts/{platform.account('inbox-01')}"
    held = platform.post("inbox-02", body="By wire transfer").headers["location"]

    platform.post("inbox-01", "email-01", "closed-to-all-1", "mailbox-550", "mailbox-451")
    stored = httpx2.get(account, headers=headers).json()["data"]
    httpx2.put(account, headers=headers, json={**stored, "email": "changed@example.com"}).raise_for_status()
    chosen = httpx2.get(f"{account}/preferences", headers=headers).json()["data"]
    httpx2.put(f"{account}/preferences", headers=headers, json=chosen).raise_for_status()
    grant = {"grant_type": "client_credentials"}
    secret = (platform.facts["client_id"], platform.facts["client_secret"])
    httpx2.post(f"{url}/oauth/token", data=grant, auth=secret).raise_for_status()
    with redis.Redis.from_url(platform.facts["broker_url"]) as broker:
        broker.lpush("accept", "no task", envelope(fields(UUID(platform.account("inbox-03")), token="at_0_1")))
        wait_until(lambda: 0 == broker.llen("accept"), within_s=30)
        wait_until(lambda: "message_vetting_id" in platform.get(held).json()["meta"], within_s=30)
        case = platform.get(held).json()["meta"]["message_vetting_id"]
        commands = [("vetting", "approve", case), ("queues",), ("refused",), ("security-log",), ("clients", "list")]
        ended = [platform.command(*each) for each in (*commands, ("doctor", "--json"))]

        wait_until(lambda: "sent" == platform.get(held).json()["meta"]["status"], within_s=30)
        denied = {name: count for name, count in broker.info("stats").items() if name.startswith("acl_access_denied")}

    assert [0] * len(ended) == [each.returncode for each in ended], [each.stdout + each.stderr for each in ended]
    assert json.loads(ended[-1].stdout)["is_well"]
    assert {0} == set(denied.values())
    assert "permission denied" not in (platform.data / "log" / "postgres.log").read_text(encoding="utf-8")
    assert {"postroom_api", "postroom_worker"} <= roles_in_use(platform)


def roles_in_use(platform: Platform) -> set[str]:
    """Return the roles that have a session now."""
    operator = platform.facts["database_url"]
    assert "postroom_operator" == urlsplit(operator).username
    with psycopg.connect(operator) as db:
        return {row[0] for row in db.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename IS NOT NULL")}
