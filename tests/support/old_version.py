"""The code of an earlier version, taken from the history of this repository."""

import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.processes import ROOT


def unpack(commit: str, folder: Path) -> None:
    """Write the code of a commit into a folder. Skips the test in a clone without that commit."""
    try:
        command = ["git", "-C", str(ROOT), "archive", "--format=zip", commit]
        archive = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"The old version is the commit {commit}, which is not here. Clone with the whole history.")
    with zipfile.ZipFile(BytesIO(archive)) as packed:
        packed.extractall(folder)
