"""The audit tells known vulnerabilities, none, and packages that no database knows apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.audit import Audit, AuditVerdict, describe, look_up, read_report, write_sbom

SOUND = {"name": "redis", "version": "7.0", "vulns": []}
UNKNOWN = {"name": "valkey", "skip_reason": "Dependency not found and could not be audited"}
BROKEN = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


def report(*packages: dict[str, Any]) -> str:
    """Return a report of pip-audit."""
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (report(SOUND), AuditVerdict.CLEAN),
        (report(SOUND, BROKEN), AuditVerdict.VULNERABLE),
        (report(SOUND, BROKEN, UNKNOWN), AuditVerdict.VULNERABLE),
        (report(SOUND, UNKNOWN), AuditVerdict.NOT_AUDITED),
        (report(UNKNOWN), AuditVerdict.NOT_AUDITED),
        (report(), AuditVerdict.NOT_AUDITED),
        ("", AuditVerdict.NOT_AUDITED),
        ("{}", AuditVerdict.NOT_AUDITED),
    ],
)
def test_a_report_has_one_verdict(text: str, verdict: AuditVerdict) -> None:
    assert verdict == read_report(text).verdict


def test_a_vulnerability_is_named_with_the_version_that_fixes_it() -> None:
    assert "old 1.0: PYSEC-1, fixed in 1.1" in describe(read_report(report(SOUND, BROKEN)))


def test_nothing_is_claimed_about_packages_that_were_not_looked_up() -> None:
    sentence = describe(read_report(report(SOUND, UNKNOWN)))

    assert "1 packages were looked up and 1 were not (valkey, ...)" in sentence


@pytest.mark.parametrize(("is_note_enough", "code"), [(False, 3), (True, 0)])
def test_without_a_database_the_exit_code_is_3_and_with_a_note_0(*, is_note_enough: bool, code: int) -> None:
    asked: list[str] = []

    def is_away(service: str) -> Audit:
        asked.append(service)
        return read_report("")

    assert code == look_up(is_away, is_note_enough=is_note_enough)
    assert ["pypi", "osv"] == asked


def test_a_note_is_not_enough_where_a_vulnerability_is_known() -> None:
    assert 1 == look_up(lambda _: read_report(report(BROKEN, UNKNOWN)), is_note_enough=True)


def test_the_list_of_packages_has_every_package_of_a_lock_with_its_hashes(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"amqp==5.3.1 \\\n    --hash=sha256:{'a' * 64}\nvine==5.1.0 \\\n    --hash=sha256:{'b' * 64}\n")

    write_sbom(lock, tmp_path / "sbom.json")

    listed = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    packages = [(each["name"], each["version"]) for each in listed["components"]]
    assert ("CycloneDX", [("amqp", "5.3.1"), ("vine", "5.1.0")]) == (listed["bomFormat"], packages)
    assert "a" * 64 in json.dumps(listed["components"])
