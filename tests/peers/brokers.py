"""Redis 7 as an operator runs it: users with rights of their own, TLS alone, and two of them behind haproxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.peers.parts import UnpackedPart
from tests.support.certificates import Certificate
from tests.support.ports import free_port, is_listening
from tests.support.processes import Process

USER = "postroom"
PASSWORD = "the-password-of-postroom"
DEFAULT_PASSWORD = "the-password-without-a-user"
KEEPER, KEEPER_PASSWORD = "keeper", "the-password-of-the-operator"
# Postroom needs no command that administers the server or that Redis calls dangerous.
_USERS = f"""\
user default on >{DEFAULT_PASSWORD} ~* &* +@all -@admin -@dangerous +info
user {USER} on >{PASSWORD} ~* &* +@all -@admin -@dangerous
user {KEEPER} on >{KEEPER_PASSWORD} ~* &* +@all
"""
_REDIS = """\
bind 127.0.0.1
dir {folder}
appendonly yes
maxmemory-policy {policy}
aclfile {folder}/users.acl
masteruser {keeper}
masterauth {keeper_password}
"""
_PLAIN = "port {port}\n"
_TLS = """\
port 0
tls-port {port}
tls-auth-clients no
tls-cert-file {certificate.path}
tls-key-file {certificate.key}
tls-ca-cert-file {certificate.path}
"""
_REPLICA = "replicaof 127.0.0.1 {port}\n"
_HAPROXY = """\
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
listen redis
  bind 127.0.0.1:{port}
  option tcp-check
  tcp-check send AUTH\\ {keeper}\\ {keeper_password}\\r\\n
  tcp-check expect string +OK
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
  server one 127.0.0.1:{ports[0]}
  server two 127.0.0.1:{ports[1]}
"""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running Redis with the users `USER`, `KEEPER` and `default`."""

    port: int
    process: Process

    def promote(self) -> None:
        """Make a replica a primary, as an operator does by hand."""
        with self.keeper() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    def is_synchronised(self) -> bool:
        """Return whether this replica has the primary's data."""
        with self.keeper() as client:
            return str(client.info("replication").get("master_link_status")) == "up"

    def keeper(self) -> redis.Redis:
        """Open a client with all rights, without TLS."""
        return redis.Redis(port=self.port, username=KEEPER, password=KEEPER_PASSWORD)


def url_of(port: int, *, certificate: Certificate | None = None) -> str:
    """Return the address that Postroom gets, with TLS where there is a certificate to trust."""
    if certificate is None:
        return f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}/0"
    return f"rediss://{USER}:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={certificate.path}"


def url_without_user(port: int) -> str:
    """Return the address of the user `default`, for clients that know passwords alone."""
    return f"redis://:{DEFAULT_PASSWORD}@127.0.0.1:{port}/0"


@contextmanager
def open_redis(
    folder: Path,
    *,
    certificate: Certificate | None = None,
    primary: RedisServer | None = None,
    policy: str = "noeviction",
) -> Iterator[RedisServer]:
    """Run Redis, with TLS alone where it has a certificate, and as a replica where it has a primary."""
    part = UnpackedPart("redis", folder)
    port = free_port()
    more = _PLAIN.format(port=port) if certificate is None else _TLS.format(port=port, certificate=certificate)
    more += "" if primary is None else _REPLICA.format(port=primary.port)
    part.write("users.acl", _USERS)
    configuration = _REDIS.format(folder=folder, keeper=KEEPER, keeper_password=KEEPER_PASSWORD, policy=policy) + more
    path = part.write("redis.conf", configuration)
    with part.running("/usr/bin/redis-server", str(path), is_ready=lambda: is_listening(port)) as process:
        yield RedisServer(port, process)


@contextmanager
def open_moving_address(folder: Path, servers: tuple[RedisServer, RedisServer]) -> Iterator[int]:
    """Run haproxy before two Redis, and yield the port on which it leads to the one that is primary."""
    part = UnpackedPart("haproxy", folder)
    port = free_port()
    ports = [each.port for each in servers]
    text = _HAPROXY.format(port=port, ports=ports, keeper=KEEPER, keeper_password=KEEPER_PASSWORD)
    path = part.write("haproxy.cfg", text)
    with part.running("/usr/sbin/haproxy", "-db", "-f", str(path), is_ready=lambda: is_listening(port)):
        yield port
