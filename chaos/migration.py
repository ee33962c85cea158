"""A migration that is killed in its midst, and run again."""

import subprocess
import sys
from pathlib import Path

from psycopg import connect

from chaos.cluster import DATABASE, Site
from chaos.schedule import Blow
from delivery.records.database import open_database, transaction
from delivery.records.migrate import create_database, is_current
from delivery.settings import Settings

_NAME = "migrating"
_TIMEOUT_S = 60


def migrate_and_crash(site: Site, blow: Blow, crash_at: str) -> tuple[bool, list[str]]:
    """Run a migration into its crash point, then again; say whether it crashed, and what was wrong then."""
    mark = Path(crash_at.rpartition(":")[2])
    mark.unlink(missing_ok=True)
    url = _fresh_database(site)
    _migrate(site, url, crash_at)
    again = _migrate(site, url, "")
    database = open_database(Settings.model_validate({"pepper": "x" * 32, "database_url": url}), connections=1)
    with transaction(database) as db:
        is_whole = is_current(db)
    database.dispose()
    faults = [] if again == 0 and is_whole else [f"a migration killed at {blow.point} cannot be run again"]
    return mark.exists(), faults


def _fresh_database(site: Site) -> str:
    with connect(site.maintenance_url, autocommit=True) as db:
        db.execute(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)")
    create_database(site.maintenance_url, _NAME)
    return site.inside.database_url.get_secret_value().replace(f"/{DATABASE}?", f"/{_NAME}?")


def _migrate(site: Site, url: str, crash_at: str) -> int:
    environment = {**site.environment(crash_at), "DATABASE_URL": url}
    command = [sys.executable, "-m", "worker", "migrate"]
    ended = subprocess.run(
        command, cwd=site.folder, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    return ended.returncode
