"""Reading the address of the relay. The SMTP dialogue is tested in `tests/steps`."""

import pytest
from pydantic import SecretStr

from delivery.channels.email.relay import Relay, read_relay


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://mail.example", Relay("smtp", "mail.example", 25, None, None)),
        ("smtp://mail.example:2525", Relay("smtp", "mail.example", 2525, None, None)),
        ("smtps://mail.example", Relay("smtps", "mail.example", 465, None, None)),
        ("smtp://[::1]:2525", Relay("smtp", "::1", 2525, None, None)),
        (
            "smtp+starttls://post%40room:p%2Fa%23ss@mail.example",
            Relay("smtp+starttls", "mail.example", 587, "post@room", SecretStr("p/a#ss")),
        ),
    ],
)
def test_a_relay_is_read_from_its_address(url: str, relay: Relay) -> None:
    assert relay == read_relay(SecretStr(url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "smtp://",
        "http://user:hunter2@mail.example",
        "smtp://user:hunter2@",
        "smtps://user:hunter2@mail.example:port",
        "smtps://user:hunter2@mail.example:99999",
        "smtp://user:hunter2#x@mail.example",
        "smtp://user:hunter2/x@mail.example",
        "smtp://user:hunter2\u2100@mail.example",
        "smtp://user:hunter2@[::1",
    ],
)
def test_an_invalid_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^is no address") as refused:
        read_relay(SecretStr(url))

    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_relay_does_not_print_its_password() -> None:
    assert "hunter2" not in repr(read_relay(SecretStr("smtps://user:hunter2@mail.example")))


@pytest.mark.parametrize(
    "url", ["smtp://user:word@mail.example", "smtps://user@mail.example", "smtp://:word@localhost"]
)
def test_a_login_has_to_be_complete_and_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match=r"both a user and a password|no encryption"):
        read_relay(SecretStr(url))


def test_a_login_to_the_same_machine_may_be_sent_in_the_clear() -> None:
    assert "user" == read_relay(SecretStr("smtp://user:word@127.0.0.1")).user
