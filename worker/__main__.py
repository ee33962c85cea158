"""`python -m worker` is the command `postroom`."""

from worker.cli.app import app

app()
