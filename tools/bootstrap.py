"""Install Postroom into .venv from the hashed lock, with only Python 3.11 and its pip.

    python3 tools/bootstrap.py         # what `make up` needs
    python3 tools/bootstrap.py --dev   # and what the tests and checks need

A second call without changes ends at once. This file imports only the standard library.
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV_LOCK = ROOT / "tools" / "bootstrap.lock"
STAMP = VENV / "installed-from"
_OURS = [str(ROOT / name) for name in ("api_stub", "delivery", "tasks", "worker")]


def main() -> None:
    """Install what the chosen lock names, unless it is installed already."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this check is for people with an older one
        sys.exit(f"Postroom needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.11")
    parser = argparse.ArgumentParser(description="Install Postroom into .venv from the hashed lock.")
    parser.add_argument("--dev", action="store_true", help="install what tests and checks need as well")
    lock = ROOT / ("requirements-dev.lock" if parser.parse_args().dev else "requirements.lock")
    VENV.mkdir(exist_ok=True)
    with (VENV / "bootstrap.guard").open("w") as guard:  # When two makes run at once, the second waits.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not _is_installed(lock):
            _install(lock)
            STAMP.write_text(_fingerprint(lock), encoding="ascii")


def _is_installed(lock: Path) -> bool:
    """Return whether .venv holds this lock, or the development lock, which includes the other."""
    installed = STAMP.read_text(encoding="ascii") if STAMP.exists() else ""
    return PYTHON.exists() and installed in {_fingerprint(lock), _fingerprint(ROOT / "requirements-dev.lock")}


def _fingerprint(lock: Path) -> str:
    parts = [lock.name.encode(), sys.version.encode(), bytes(ROOT)]
    parts += [path.read_bytes() for path in (lock, UV_LOCK, ROOT / "pyproject.toml")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _install(lock: Path) -> None:
    _say(f"[1/4] making .venv with Python {sys.version.split()[0]}")
    venv.create(VENV, with_pip=False, symlinks=True)
    STAMP.unlink(missing_ok=True)
    install = _installer()
    packages = lock.read_text(encoding="utf-8").count("==")
    _say(f"[2/4] installing {packages} packages from {lock.name}, each checked by its hash")
    _run([*install, "--require-hashes", "-r", str(lock)])
    _say("[3/4] installing Postroom itself")
    _run([*install, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    # Where PYTHONDONTWRITEBYTECODE is set, each process would compile again: 2 s of CPU and 13 MiB (measured).
    _say("[4/4] compiling to bytecode")
    packages_folder = sysconfig.get_path("purelib", "venv", {"base": str(VENV)})
    # A package may hold a file that this Python cannot compile and no program imports. That is no failure.
    subprocess.run([str(PYTHON), "-m", "compileall", "-qq", "-j", "0", packages_folder, *_OURS], check=False)


def _installer() -> list[str]:
    """Return the command that installs into .venv: uv where it runs, else the pip of this Python."""
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        sys.exit("This Python has no pip. On Debian or Ubuntu: sudo apt install python3-pip")
    fetched = subprocess.run([*pip, "--require-hashes", "-r", str(UV_LOCK)], check=False, stderr=subprocess.DEVNULL)
    if fetched.returncode:
        _say("      (uv is not available here; pip installs instead, which takes a minute)")
        return pip
    return [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]


def _run(command: list[str]) -> None:
    # uv brings its own root certificates. Behind a TLS proxy only the system's are right (measured: UnknownIssuer).
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}  # noqa: TID251 - runs before there are settings
    if subprocess.run(command, check=False, env=environment).returncode:
        sys.exit(f"Could not install. This command failed; its output is above:\n  {' '.join(command)}")


def _say(line: str) -> None:
    print(f"postroom: {line}", flush=True)


if __name__ == "__main__":
    main()
