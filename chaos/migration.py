"""Kill a migration while it runs, and run it again."""

import sys
from pathlib import Path

from psycopg import connect

from chaos.cluster import DATABASE, Cluster
from chaos.schedule import PlannedFault
from delivery.records.database import open_database, transaction
from delivery.records.migrate import create_database, is_current
from delivery.settings import Settings
from tests.support.processes import run_to_end

_NAME = "migrating"
_TIMEOUT_S = 60


def migrate_and_crash(cluster: Cluster, fault: PlannedFault, crash_at: str) -> tuple[bool, list[str]]:
    """Run a migration into its crash point, then again; return whether it crashed, and the violations."""
    sentinel = Path(crash_at.rpartition(":")[2])
    sentinel.unlink(missing_ok=True)
    url = _fresh_database(cluster)
    _migrate(cluster, url, crash_at)
    again = _migrate(cluster, url, "")
    database = open_database(Settings.model_validate({"pepper": "x" * 32, "database_url": url}), connections=1)
    with transaction(database) as db:
        is_whole = is_current(db)
    database.dispose()
    faults = [] if again == 0 and is_whole else [f"a migration killed at {fault.point} cannot be run again"]
    return sentinel.exists(), faults


def _fresh_database(cluster: Cluster) -> str:
    with connect(cluster.maintenance_url, autocommit=True) as db:
        db.execute(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)")
    create_database(cluster.maintenance_url, _NAME)
    return cluster.database_url.replace(f"/{DATABASE}?", f"/{_NAME}?")


def _migrate(cluster: Cluster, url: str, crash_at: str) -> int:
    environment = {**cluster.environment(crash_at), "DATABASE_URL": url}
    command = [sys.executable, "-m", "worker", "migrate"]
    return run_to_end(command, cwd=cluster.folder, environment=environment, timeout_s=_TIMEOUT_S).returncode
