"""Forty wrong values for every setting: each is refused with a sentence, or everything that follows from it works."""

import logging
from typing import Any

import pytest

from delivery.channels.email.relay import read_relay
from delivery.logs import configure_logs
from delivery.settings import Settings, environment_name, settings_from
from tasks.app import celery_url
from tests.support import build

SECRET = "hunter2"
WRONG = (
    *("", " ", "x", "0", "-1", "1.5", "1e9", "1e30", "nan", "inf", "-inf", "1_000", "\u0661", "true ", "None", "null"),
    *("a b", "a\tb", "a\nb", "a\rb", "a\0b", "\u00e9", "\U0001f30d", "\ufeffx", "\u200b", "'1'", '"1"', "1;2", "1,2"),
    *("https://h", "https://", "https://[", "https://[::1", "https://h:99999", "https://h:x/", "https://:443", "@"),
    *(
        f"https://u:{SECRET}@h",
        f"postgresql://u:{SECRET}@[/db",
        f"redis://:{SECRET}@h:99999/0",
        "smtp://h:0",
        "smtp://",
    ),
    *(
        f"smtps://u:{SECRET}@h:x",
        "://",
        "//",
        "x://y",
        "%",
        "%zz",
        "../../x",
        "{}",
        "[]",
        "$HOME",
        "x" * 5000,
        "9" * 400,
    ),
)
REFUSED = {
    "public_url": ("https://", "https://[", "https://h:99999", "https://h:x/", "https://:443", f"https://u:{SECRET}@h"),
    "issuer_jwks_url": ("https://[", "https://h:99999", "https://h:x/", "x"),
    "log_level": ("x", "", "verbose", "10"),
    "send_deadline_s": ("inf", "nan", "1e30", "0", "5m"),
    "smtp_timeout_s": ("inf", "nan", "1e30", "-1"),
    "verdict_tick_s": ("inf", "0"),
    "hold_days": ("inf", "1e9", "0"),
    "signature_days": ("inf", "1e9"),
    "requests_per_minute": ("9" * 400, "1e30", "1.5"),
    "platform_names": ("a\0b", "a\tb\0"),
}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_wrong_value_is_refused_with_a_sentence_or_all_that_follows_from_it_works(field: str) -> None:
    for value in WRONG:
        said = read(field, value)

        assert isinstance(said, Settings) or environment_name(field) in said or "POSTROOM_ISSUER" in said, value
        assert isinstance(said, Settings) or SECRET not in said
        if isinstance(said, Settings):
            follow(said)


@pytest.mark.parametrize(("field", "values"), REFUSED.items())
def test_a_value_that_cannot_work_is_refused(field: str, values: tuple[str, ...]) -> None:
    taken = [value for value in values if isinstance(read(field, value), Settings)]

    assert [] == taken


def test_levels_are_taken_in_any_case() -> None:
    assert "debug" == build.settings(log_level="debug").log_level


def read(field: str, value: str) -> Settings | str:
    """Read the settings with this value; return what is said where they are refused."""
    variables: dict[str, str] = {"POSTROOM_PEPPER": "x" * 40, environment_name(field): value}
    try:
        return settings_from(variables)
    except SystemExit as refused:
        return str(refused.code)


def follow(settings: Settings) -> None:
    """Work out everything that a process works out from its settings. Raises whatever one of them raises."""
    derived: list[Any] = [settings.hold_rule, settings.own_domains, settings.grace, settings.lease]
    derived += [settings.send_deadline, settings.public_name, settings.algorithms, settings.key_type]
    assert all(each is not None for each in derived)
    assert read_relay(settings.smtp_url).host
    assert celery_url(settings)
    handlers = logging.getLogger().handlers[:]
    configure_logs(settings.log_level)
    logging.getLogger().handlers[:] = handlers
