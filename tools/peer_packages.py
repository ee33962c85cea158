"""Unpack the Debian packages of `make peers` side by side below var/peers, without installing one of them.

Several of them conflict with each other, and none may start a service on the machine. This needs apt-get and no root.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "peers"
_SECONDS = 120

PACKAGES = {
    "postfix": ("postfix", "sasl2-bin", "libsasl2-modules"),
    "exim": ("exim4-daemon-light",),
    "opensmtpd": ("opensmtpd",),
    "redis": ("redis-server",),
    "pgbouncer": ("pgbouncer",),
    "postgresql": ("postgresql-15",),
    "nginx": ("nginx",),
    "haproxy": ("haproxy",),
}
"""Debian's packages of each part. Their dependencies come along where the machine lacks them."""


def main() -> None:
    """Unpack every part that is not there yet. Exit with 1 and a sentence when one cannot be had."""
    missing = [part for part in PACKAGES if not (FOLDER / part).is_dir()]
    if missing and not shutil.which("apt-get"):
        sys.exit("peers: the parts are Debian's packages, and this machine has no apt-get.")
    if missing and not _has_run("apt-get", "update"):
        print("peers: apt-get update failed or took too long; the package lists of this machine are used as they are.")
    failed = [part for part in missing if not _has_unpacked(part)]
    if failed:
        names = " ".join(name for part in failed for name in PACKAGES[part])
        sys.exit(f"peers: these packages cannot be downloaded here: {names}. Their tests do not run.")
    print(f"peers: {len(PACKAGES)} parts are unpacked in {FOLDER.relative_to(ROOT)}.")


def _has_unpacked(part: str) -> bool:
    target, unfinished = FOLDER / part, FOLDER / f"{part}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    archives = unfinished / "archives"
    (archives / "partial").mkdir(parents=True)
    options = ["--yes", "--reinstall", "--no-install-recommends", "--download-only", "-o", "Debug::NoLocking=1"]
    if not _has_run("apt-get", "install", *options, "-o", f"Dir::Cache::archives={archives}", *PACKAGES[part]):
        return False
    for package in archives.glob("*.deb"):
        if not _has_run("dpkg", "-x", str(package), str(unfinished)):
            return False
    shutil.rmtree(archives)
    unfinished.rename(target)  # So that a part is whole or not there.
    return True


def _has_run(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"peers: {command[0]} {command[1]} took longer than {_SECONDS} s.")
        return False
    if done.returncode:
        print(f"peers: {command[0]} {command[1]} says: {done.stderr.strip()[-400:]}")
    return done.returncode == 0


if __name__ == "__main__":
    main()
