"""Write a list of all packages (SBOM), and look each up in databases of known vulnerabilities: `make audit`.

    python -m tools.audit          # exit code 0: none is known; 1: some are; 3: no database told for every package
    python -m tools.audit --note   # for CI on a machine without such a database: 3 becomes 0, with the sentence

The lists are CycloneDX: `dist/sbom.cdx.json` for what runs, `dist/sbom-dev.cdx.json` for tests and tools as well.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from tools.locks import DEVELOPMENT, ROOT, RUNTIME

_FOLDER = ROOT / "dist"
_PROGRAMS = Path(sys.executable).parent
# Two databases: that of the package index, and OSV. The first that knows about every package is believed.
_SERVICES = ("pypi", "osv")
_SHOWN = 5


class AuditVerdict(IntEnum):
    """The exit codes."""

    CLEAN = 0
    VULNERABLE = 1
    NOT_AUDITED = 3


@dataclass(frozen=True, slots=True)
class Audit:
    """What a database said about the packages of the lock: how many it knows, and each vulnerability in a line."""

    audited_count: int
    left_out: tuple[str, ...]
    vulnerabilities: tuple[str, ...]

    @property
    def verdict(self) -> AuditVerdict:
        """Return the exit code. A known vulnerability counts, even if other packages were not looked up."""
        if self.vulnerabilities:
            return AuditVerdict.VULNERABLE
        return AuditVerdict.NOT_AUDITED if self.left_out or not self.audited_count else AuditVerdict.CLEAN


def read_report(text: str) -> Audit:
    """Read the JSON report of pip-audit. One that is missing or cut audits nothing."""
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(0, (), ())
    left_out = tuple(each["name"] for each in packages if "skip_reason" in each)
    return Audit(len(packages) - len(left_out), left_out, tuple(_vulnerabilities(packages)))


def _vulnerabilities(packages: Iterable[dict[str, Any]]) -> Iterator[str]:
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


def describe(audit: Audit) -> str:
    """Return the sentence about an audit, and what to do next."""
    if audit.vulnerabilities:
        lines = "\n".join(f"  {each}" for each in audit.vulnerabilities)
        return f"audit: known vulnerabilities:\n{lines}\nRun `make lock` to take fixed versions, then `make test`."
    if audit.verdict is AuditVerdict.NOT_AUDITED:
        names = f" ({', '.join(audit.left_out[:_SHOWN])}, ...)" if audit.left_out else ""
        return (
            f"audit: {audit.audited_count} packages were looked up and {len(audit.left_out) or 'all'} were not{names}: "
            "no vulnerability database that knows them is reachable from here. Run `make audit` where one is."
        )
    return f"audit: no known vulnerability in {audit.audited_count} packages"


def ask_database(service: str) -> Audit:
    """Look all packages of the development lock up, which has those of the runtime lock too."""
    options = ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    command = [str(_PROGRAMS / "pip-audit"), "-r", str(DEVELOPMENT), *options, "--vulnerability-service", service]
    # Its exit code does not tell a vulnerability from a network that is away; its report does.
    return read_report(subprocess.run(command, check=False, capture_output=True, text=True).stdout)


def main() -> int:
    """Write both lists, look all packages up, and return the exit code."""
    _FOLDER.mkdir(exist_ok=True)
    for lock, name in ((RUNTIME, "sbom.cdx.json"), (DEVELOPMENT, "sbom-dev.cdx.json")):
        write_sbom(lock, _FOLDER / name)
        print(f"audit: wrote {_FOLDER.name}/{name}")
    return look_up(ask_database, is_note_enough="--note" in sys.argv[1:])


def look_up(ask: Callable[[str], Audit], *, is_note_enough: bool) -> int:
    """Ask the databases in turn until one knows every package, print the verdict and return the exit code."""
    for service in _SERVICES:
        audit = ask(service)
        if audit.verdict is not AuditVerdict.NOT_AUDITED:
            break
    print(describe(audit))
    is_noted = audit.verdict is AuditVerdict.NOT_AUDITED and is_note_enough
    return AuditVerdict.CLEAN if is_noted else audit.verdict


def write_sbom(lock: Path, target: Path) -> None:
    """Write a CycloneDX list of the packages of a lock, with the hashes of their files. It names no package index."""
    command = ["cyclonedx-py", "requirements", str(lock), "--of", "JSON", "--output-reproducible", "-o", str(target)]
    subprocess.run([str(_PROGRAMS / command[0]), *command[1:]], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
