"""tools/make-secrets.sh makes every secret that docker-compose.yml names, once, and closes their folder."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.processes import ROOT

_OLD = {
    "POSTROOM_PEPPER": "the pepper of an earlier version, kept",
    "POSTGRES_PASSWORD": "old $pass'word",
    "SMTP_URL": "smtps://user:pa%24s@relay.example",
}

# Files that are empty until an operator fills them.
_EMPTY = {"issuer-client-secret", "sealing-key-before"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder with the script alone."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "make-secrets.sh", tmp_path / "tools")
    return tmp_path


def make(checkout: Path, relay: str = "smtp://mail-sink:1025") -> dict[str, str]:
    """Run the script with this answer to its question, and return all secrets."""
    subprocess.run(
        ["sh", "tools/make-secrets.sh"], cwd=checkout, input=f"{relay}\n", text=True, check=True, capture_output=True
    )
    return {path.name: path.read_text(encoding="utf-8") for path in (checkout / "secrets").iterdir()}


def test_it_makes_what_compose_names(checkout: Path) -> None:
    made = make(checkout)

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert {name: {"file": f"./secrets/{name}"} for name in made} == compose["secrets"]
    random = [value for name, value in made.items() if name not in {"smtp-url", *_EMPTY}]
    assert {64} == set(map(len, random))
    assert len(random) == len(set(random))
    assert "smtp://mail-sink:1025" == made["smtp-url"]


def test_a_second_run_changes_nothing(checkout: Path) -> None:
    before = make(checkout)

    assert before == make(checkout, relay="smtp://other")


def test_secrets_of_an_earlier_version_are_taken_over(checkout: Path) -> None:
    lines = [
        f"POSTROOM_PEPPER={_OLD['POSTROOM_PEPPER']}",
        f'POSTGRES_PASSWORD="{_OLD["POSTGRES_PASSWORD"]}"',
        f"SMTP_URL='{_OLD['SMTP_URL']}'",
        "#POSTROOM_SEALING_KEY=commented out",
    ]
    (checkout / ".env").write_text("\n".join(lines), encoding="utf-8")

    made = make(checkout, relay="never asked")

    assert tuple(_OLD.values()) == (made["pepper"], made["postgres-superuser"], made["smtp-url"])
    assert 64 == len(made["sealing-key"])


def test_the_folder_opens_for_its_owner_alone_and_its_files_for_the_users_in_containers(checkout: Path) -> None:
    make(checkout)

    folder = checkout / "secrets"
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o444} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
