"""`python -m worker` is the command `postroom`."""

from worker.cli import app

app()
