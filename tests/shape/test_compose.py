"""docker-compose.yml passes on every setting; each service has its own secrets, and no right beyond its work."""

import re
from typing import Any

import pytest

from delivery.mail_settings import LEASE_MARGIN_S
from delivery.records.rights import DatabaseRole
from delivery.settings import Settings, environment_name
from tasks.broker.access import BrokerUser
from tests.shape.codebase import compose_file, read_text

# Only processes that send mail get the password of the relay, and only trials set a crash.
_NOT_FOR_ALL = {"SMTP_URL", "POSTROOM_CRASH_AT"}
_SERVERS = ("postgres", "broker")
_SERVICES: dict[str, dict[str, Any]] = compose_file()["services"]
_COMMON = {"pepper", "sealing-key", "sealing-key-before"}
_SECRETS = {
    "postgres": {"postgres-superuser"},
    "broker": set(),
    "broker-users": {f"broker-{user}" for user in BrokerUser},
    "database-roles": {"postgres-superuser", *(role.replace("postroom_", "database-") for role in DatabaseRole)},
    "migrate": {"database-owner"},
    "api": {"database-api", "broker-api", "issuer-client-secret", *_COMMON},
    "worker-decide": {"database-worker", "broker-worker", *_COMMON},
    "worker-smtp": {"database-worker", "broker-worker", "pepper", "smtp-url"},
    "operator": {"database-operator", "broker-operator", *_COMMON},
    "mail-sink": set(),
}
_NETWORKS = {
    "postgres": {"database"},
    "broker": {"broker"},
    "broker-users": set(),
    "database-roles": {"database"},
    "migrate": {"database"},
    "api": {"edge", "database", "broker"},
    "worker-decide": {"database", "broker"},
    "worker-smtp": {"database", "broker", "relay"},
    "operator": {"database", "broker"},
    "mail-sink": {"relay"},
}


def test_every_setting_reaches_the_processes_from_the_env_file_or_as_a_secret() -> None:
    passed_on = {name.removesuffix("_FILE") for name in _SERVICES["api"]["environment"]}

    # POSTROOM_SMTP_CA_FILE is a setting of its own.
    names = {environment_name(field).removesuffix("_FILE") for field in Settings.model_fields}
    assert names - _NOT_FOR_ALL <= passed_on


def test_the_journals_of_all_workers_are_in_one_volume_that_they_may_write_to() -> None:
    compose = compose_file()
    workers = [each for name, each in compose["services"].items() if name.startswith("worker-")]

    places = {(each["environment"]["POSTROOM_JOURNAL_FOLDER"], *each["volumes"]) for each in workers}

    ((folder, volume),) = places
    name, _, mounted_at = volume.partition(":")
    assert (folder, True) == (mounted_at, name in compose["volumes"])
    # An empty volume takes its owner from the folder that the image has there.
    instruction = rf"install --directory --owner=postroom --group=postroom --mode=0700 {folder}\n"
    assert re.search(instruction, read_text("Dockerfile"))


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_has_no_root_no_capability_and_no_file_system_to_write_to(name: str) -> None:
    service = _SERVICES[name]
    user, _, group = service["user"].partition(":")

    assert (["ALL"], True, ["no-new-privileges:true"]) == (
        service["cap_drop"],
        service["read_only"],
        service["security_opt"],
    )
    assert "0" not in {user, group}
    assert int(user) > 0
    assert int(group) > 0
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "group_add"} & set(service)
    assert {"mem_limit", "pids_limit", "tmpfs"} <= set(service)


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_has_only_its_secrets_and_only_its_networks(name: str) -> None:
    service = _SERVICES[name]

    assert _SECRETS[name] == set(service.get("secrets", ()))
    assert _NETWORKS[name] == set(service.get("networks", ()))
    assert service.get("network_mode") == (None if _NETWORKS[name] else "none")


@pytest.mark.parametrize("name", _SERVICES)
def test_every_file_of_a_secret_that_a_service_names_is_one_that_it_has(name: str) -> None:
    environment = _SERVICES[name].get("environment", {})

    named = {
        str(value).removeprefix("/run/secrets/") for key, value in environment.items() if "/run/secrets/" in str(value)
    }

    assert named <= set(_SERVICES[name].get("secrets", ()))


def test_no_secret_is_in_an_environment_or_a_command() -> None:
    about_secrets = re.compile("PASSWORD|PEPPER|SECRET|SEALING|SMTP_URL")

    shown = {
        (name, key): value
        for name, service in _SERVICES.items()
        for key, value in service.get("environment", {}).items()
        if about_secrets.search(key) and not key.endswith("_FILE")
    }
    urls = [
        str(value)
        for each in _SERVICES.values()
        for value in each.get("environment", {}).values()
        if "://" in str(value)
    ]

    # The commands about the schema make no digest, so their pepper is none.
    assert {("database-roles", "POSTROOM_PEPPER"), ("migrate", "POSTROOM_PEPPER")} == set(shown)
    assert all("no-secret" in value for value in shown.values())
    assert [] == [url for url in urls if re.search(r"://[^/@]*:[^/@]*@", url)]
    assert "${POSTGRES_PASSWORD" not in read_text("docker-compose.yml")


def test_only_the_api_and_the_sink_are_published_and_the_servers_lead_nowhere() -> None:
    compose = compose_file()

    published = {name for name, service in _SERVICES.items() if service.get("ports")}
    internal = {name for name, network in compose["networks"].items() if (network or {}).get("internal")}

    assert {"api", "mail-sink"} == published
    assert all("127.0.0.1" in port for name in published for port in _SERVICES[name]["ports"])
    assert {"database", "broker"} == internal


@pytest.mark.parametrize(("name", "role"), [("api", "api"), ("worker-decide", "worker"), ("worker-smtp", "worker")])
def test_a_process_is_its_own_role_and_user(name: str, role: str) -> None:
    environment = _SERVICES[name]["environment"]

    assert environment["DATABASE_URL"].startswith(f"postgresql://{DatabaseRole('postroom_' + role)}@")
    assert environment["BROKER_URL"].startswith(f"redis://{BrokerUser(role)}@")


def test_images_have_an_exact_tag() -> None:
    images = [_SERVICES[name]["image"] for name in _SERVERS]
    images += re.findall(r"^FROM (\S+)", read_text("Dockerfile"), flags=re.MULTILINE)

    assert [] == [image for image in images if not re.search(r":\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?$", image)]


def test_what_runs_on_is_checked_and_stops_with_the_time_that_it_needs() -> None:
    running = {name for name, each in _SERVICES.items() if each.get("restart") == "unless-stopped"}

    assert all("healthcheck" in _SERVICES[name] for name in running)
    assert {"postgres", "broker", "api", "worker-decide", "worker-smtp", "mail-sink"} == running
    deadline_s = Settings.model_fields["send_deadline_s"].default
    assert int(_SERVICES["worker-smtp"]["stop_grace_period"].removesuffix("s")) >= deadline_s + LEASE_MARGIN_S
