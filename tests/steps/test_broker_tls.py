"""An encrypted broker: no connection of ours sends the password to a server with an unknown certificate."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from pydantic import SecretStr

from delivery.settings import Settings
from tasks.app import make_app
from tasks.broker.client import open_broker
from tests.support import build
from tests.support.certificates import Certificate, make_certificate
from tests.support.waiting import wait_until

PASSWORD = "TOPSECRET"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make a certificate for the broker."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@contextmanager
def listener(certificate: Certificate) -> Iterator[tuple[int, bytearray]]:
    """Listen with TLS on a port of its own; collect what clients send after the handshake, and answer nothing."""
    heard = bytearray()
    context = certificate.server_context()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
                    heard.extend(encrypted.recv(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def by_celery(settings: Settings) -> None:
    """Connect as a worker's consumer does."""
    with make_app(settings).connection_for_read() as connection:
        connection.connect()
        connection.default_channel.client.ping()


def by_us(settings: Settings) -> None:
    """Connect as the doorbell, the direct reader and the limits do."""
    open_broker(settings, timeout_s=2).ping()


@pytest.mark.parametrize("connect", [by_celery, by_us])
def test_a_broker_with_an_unknown_certificate_never_hears_the_password(
    certificate: Certificate, connect: Callable[[Settings], None]
) -> None:
    with listener(certificate) as (port, heard):
        url = SecretStr(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0")
        with pytest.raises(Exception, match=r"(?i)certificate"):
            connect(build.settings(broker_url=url))

    assert b"" == heard


@pytest.mark.parametrize("connect", [by_celery, by_us])
def test_the_address_names_the_authority_that_signed_the_certificate(
    certificate: Certificate, connect: Callable[[Settings], None]
) -> None:
    with listener(certificate) as (port, heard):
        url = SecretStr(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={certificate.path}")
        with suppress(Exception):  # It answers nothing.
            connect(build.settings(broker_url=url))
        wait_until(lambda: PASSWORD.encode() in heard)


def test_this_trial_would_hear_the_password_of_a_client_that_checks_nothing(certificate: Certificate) -> None:
    with listener(certificate) as (port, heard):
        careless = ssl.create_default_context()
        careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
        with careless.wrap_socket(socket.create_connection(("127.0.0.1", port))) as connection:
            connection.sendall(PASSWORD.encode())
            wait_until(lambda: PASSWORD.encode() in heard)
