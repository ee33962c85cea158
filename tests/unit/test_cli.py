"""The command `postroom` itself."""

from importlib.metadata import version

from typer.testing import CliRunner

from worker.cli.app import app


def test_it_prints_its_version_and_does_nothing_else() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (0, f"postroom {version('postroom')}\n") == (result.exit_code, result.output)
