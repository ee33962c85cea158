"""Check settings that are well-formed against what they name: files, and servers that answer but cannot serve us."""

import ssl

import redis

from delivery.records.server_check import check_database
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings
from tasks.broker.client import open_broker


def check_start(settings: Settings) -> None:
    """End this process with a sentence when a setting that every process needs cannot work.

    A server that does not answer is no reason: processes wait for it. Raises `SystemExit`.
    """
    for check in (check_database, check_broker):
        try:
            check(settings)
        except UnusableSetting as error:
            raise SystemExit(f"postroom: {error}. Correct it and start again.") from None


def check_broker(settings: Settings) -> None:
    """Raise `UnusableSetting` where the client cannot use an option of `BROKER_URL`, or a file that it names."""
    try:
        pool = open_broker(settings).connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.RedisError) as error:
        raise UnusableSetting("BROKER_URL has an option behind its ? that the Redis client does not know") from error
    named = pool.connection_kwargs
    context = ssl.create_default_context()
    try:
        if named.get("ssl_ca_certs"):
            context.load_verify_locations(named["ssl_ca_certs"])
        if named.get("ssl_certfile"):
            context.load_cert_chain(named["ssl_certfile"], named.get("ssl_keyfile"))
    except OSError as error:
        raise UnusableSetting(f"BROKER_URL names a file that cannot be read as PEM ({error.strerror})") from error
