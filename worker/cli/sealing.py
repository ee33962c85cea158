"""`postroom clients reseal`: seal all secrets under a new sealing key, so that the one before can be forgotten."""

import typer

from delivery.explain import count
from delivery.records.database import transaction
from delivery.records.identities import sealed_keys
from delivery.settings import environment_name
from worker.cli.console import missing, opened, settings


def reseal() -> None:
    """Seal signing keys, and one-time codes of staff, again under the present key. What it opens stays as it is.

    Run it once all deciding workers and the API have the new key, and the one before beside it. Safe to repeat.
    """
    config = settings()
    if config.sealing_key is None:
        raise missing(f"{environment_name('sealing_key')} is not set. Set it to the new key, then run this again.")
    with opened(config) as database, transaction(database) as db:
        before = sealed_keys.reseal(db, config)
    typer.echo(
        f"postroom: sealed {count(len(before.earlier), 'secret')} again; {len(before.current)} had the present seal"
    )
    if before.closed:
        raise missing(
            f"{count(len(before.closed), 'secret')} still closed: {', '.join(before.closed)}. "
            f"{sealed_keys.describe_closed(config)}."
        )
