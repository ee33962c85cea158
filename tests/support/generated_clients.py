"""Install and run what only tests need from npm and PyPI: generators of clients, linters, other projects' programs.

Their packages are in no lock: they would pin versions that the rest does not need. A test that cannot install them is
skipped locally and fails in CI.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_SECONDS = 100
# Exact versions, so that no run meets a new one.
_PYTHON = ("openapi-python-client==0.29.1",)
_TYPESCRIPT = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")
REDOCLY = ("@redocly/cli@2.77.0",)
CELERY_NODE = ("celery-node@0.5.9",)
OIDC_PROVIDER = ("oidc-provider@9.13.3",)


def install_python(folder: Path) -> Path:
    """Install openapi-python-client into an environment of its own, and return the folder of its programs."""
    uv = str(Path(sys.executable).with_name("uv"))
    programs = folder / "python/bin"
    commands = [
        [uv, "venv", "--quiet", "--python", sys.executable, "python"],
        [uv, "pip", "install", "--quiet", "--python", str(programs / "python"), *_PYTHON],
    ]
    _install(commands, folder, "This test needs openapi-python-client, and uv cannot install it here.")
    return programs


def install_typescript(folder: Path) -> Path:
    """Install openapi-typescript and what its clients need beside Node, and return the folder of the programs."""
    return install_from_npm(folder, *_TYPESCRIPT)


def install_from_npm(folder: Path, *packages: str) -> Path:
    """Install these packages of npm into a folder, without their scripts, and return the folder of their programs."""
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *packages]
    _install([command], folder, f"This test needs {packages[0]}, and npm is missing or cannot install it here.")
    return folder / "node_modules/.bin"


def run(programs: Path, command: Sequence[str], *, folder: Path, stdin: str = "") -> str:
    """Run one of these programs in a folder and return what it prints. Raises `AssertionError` with all output."""
    done = _run([str(programs / command[0]), *command[1:]], folder, stdin)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def _install(commands: Sequence[Sequence[str]], folder: Path, sentence: str) -> None:
    for command in commands:
        if shutil.which(command[0]) and _run(command, folder, "").returncode == 0:
            continue
        if os.environ.get("CI"):  # noqa: TID251 - a question about the machine, no setting of Postroom
            pytest.fail(sentence)
        pytest.skip(sentence)


def _run(command: Sequence[str], folder: Path, stdin: str) -> subprocess.CompletedProcess[str]:
    # uv brings its own root certificates. Behind a TLS proxy only the system's are right.
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}  # noqa: TID251 - as above
    # A generator looks there for the formatter that was installed with it.
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
