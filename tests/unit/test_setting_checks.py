"""Settings that cannot work are refused at the start, with a sentence that shows nothing secret."""

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from delivery.setting_checks import database_url
from delivery.settings import Settings
from tasks.app import celery_url
from tests.support import build

SECRET = "hunter2"

REFUSED = {
    "a carriage return": ("mail_domain", "mail.example\r", "CRLF"),
    "a carriage return in any setting": ("hold_phrases", "western union\r", "CRLF"),
    "a carriage return in a secret": ("pepper", f"{'x' * 40}\r", "CRLF"),
    "a blank in the domain": ("mail_domain", "mail. example", "a domain alone"),
    "a scheme before the domain": ("mail_domain", "https://mail.example", "a domain alone"),
    "an address for a domain": ("mail_domain", "post@mail.example", "a domain alone"),
    "a port behind the domain": ("mail_domain", "mail.example:25", "a domain alone"),
    "an empty label": ("mail_domain", "mail..example", "a domain alone"),
    "a trailing dot": ("mail_domain", "mail.example.", "a domain alone"),
    "no domain": ("mail_domain", "", "a domain alone"),
    "an IP address": ("mail_domain", "192.0.2.1", "a domain alone"),
    "a domain too long for its addresses": ("mail_domain", f"{'a.' * 100}example", "a domain alone"),
    "an IDN": ("mail_domain", "bücher.example", "xn--bcher-kva.example"),
    "a blank in the header": ("api_key_header", "X Bad Header", "name of an HTTP header"),
    "no header": ("api_key_header", "", "name of an HTTP header"),
    "a header with a colon": ("api_key_header", "X-Key:", "name of an HTTP header"),
    "a header with another meaning": ("api_key_header", "Authorization", "no other meaning"),
    "a network that is none": ("trusted_proxies", "10.0.0.0/33, foo", "IP addresses or networks"),
    "a host name among the proxies": ("trusted_proxies", "proxy.example", "IP addresses or networks"),
    "another database": ("database_url", f"mysql://u:{SECRET}@h/db", "no PostgreSQL address"),
    "a port that is no number": ("database_url", f"postgresql://u:p#{SECRET}@h:54x/db", "port"),
    "a password with a raw @ and :": ("database_url", f"postgresql://u:{SECRET}@h:pw@h:70000/db", "port"),
    "a Sentinel": ("broker_url", f"sentinel://:{SECRET}@h:26379", "one address"),
    "several brokers": ("broker_url", f"redis://:{SECRET}@a:6379;redis://b:6379", "one address"),
    "several hosts of a broker": ("broker_url", "redis://a:6379,b:6379/0", "one address"),
    "valkey": ("broker_url", f"valkey://:{SECRET}@h/0", "redis://"),
    "no host of a broker": ("broker_url", "redis://", "no address of Redis"),
    "another broker": ("broker_url", f"amqp://u:{SECRET}@h//", "no address of Redis"),
    "a database that is no number": ("broker_url", "redis://h/zero", "number of a database"),
    "a port of a broker that is none": ("broker_url", f"redis://:{SECRET}@h:x/0", "no address"),
    "another protocol for mail": ("smtp_url", f"http://u:{SECRET}@relay.example", "no address of a mail relay"),
    "a login without encryption": ("smtp_url", f"smtp://u:{SECRET}@relay.example", "no encryption"),
    "half a login": ("smtp_url", "smtps://u@relay.example", "both a user and a password"),
    "no socket": ("broker_url", "unix://", "no socket"),
}


@pytest.mark.parametrize(("field", "value", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_setting_that_cannot_work_is_refused_with_a_sentence(field: str, value: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        build.settings(**{field: value})

    said = " ".join(str(each["msg"]) for each in refused.value.errors())
    assert sentence in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "domain",
    ["mail.example", "localhost", "xn--bcher-kva.example", "postroom.localhost", "a-b.example", "3com.example"],
)
def test_a_domain_is_taken_as_it_is(domain: str) -> None:
    assert domain == build.settings(mail_domain=domain).mail_domain


@pytest.mark.parametrize("proxies", ["", "127.0.0.1,::1", "10.0.0.0/8, fd00::/8", "10.1.2.3/8"])
def test_proxies_are_addresses_and_networks(proxies: str) -> None:
    assert proxies == build.settings(trusted_proxies=proxies).trusted_proxies


@pytest.mark.parametrize(
    ("given", "host", "database", "query"),
    [
        ("postgresql://u:p%40@h:5433/db", "h", "db", {}),
        ("postgres://u:p@h/db?sslmode=require", "h", "db", {"sslmode": "require"}),
        ("postgresql+psycopg://h/db", "h", "db", {}),
        ("postgresql://u@/db?host=/run/postgresql", None, "db", {"host": "/run/postgresql"}),
        ("postgresql://[::1]:5432/db", "::1", "db", {}),
        (
            "postgresql://u:p@h1:5432,h2/db?target_session_attrs=read-write",
            None,
            "db",
            {"host": "h1,h2", "port": "5432,5432", "target_session_attrs": "read-write"},
        ),
        ("postgres://h1:1,h2:2,h3:3/db", None, "db", {"host": "h1,h2,h3", "port": "1,2,3"}),
    ],
)
def test_every_usual_form_of_a_database_address_is_read(
    given: str, host: str | None, database: str, query: dict[str, str]
) -> None:
    read = make_url(database_url(given))

    assert ("postgresql", host, database, query) == (
        read.get_backend_name(),
        read.host,
        read.database,
        dict(read.query),
    )


@pytest.mark.parametrize(
    ("broker_url", "expected"),
    [
        ("rediss://:pw@h:6380/0", "rediss://:pw@h:6380/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=ca.crt", "rediss://h/0?ssl_ca_certs=ca.crt&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("redis://h/0", "redis://h/0"),
        ("unix:///run/redis.sock?db=1", "redis+socket:///run/redis.sock?virtual_host=1"),
    ],
)
def test_celery_checks_the_certificate_of_the_broker_unless_the_address_says_otherwise(
    broker_url: str, expected: str
) -> None:
    assert expected == celery_url(Settings(pepper=SecretStr("x" * 32), broker_url=SecretStr(broker_url)))
