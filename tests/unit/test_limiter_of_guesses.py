"""Limits of what can be learnt by trying credentials and recipients."""

import pytest
from structlog.testing import capture_logs

from api_stub.ratelimit.limiter import hide_address
from tests.support import build
from tests.support.leaping_loop import run
from tests.support.rate_limits import CLIENT, FakeStorage, admitted, limiter_of, refusal

ADDRESS = "192.0.2.7"


async def guessed() -> bool:
    """Return False: not all recipients are contacts."""
    return False


OTHERS = [f"198.51.100.{number}" for number in range(200)]


def test_an_address_may_try_so_many_credentials_and_others_may_try_as_many() -> None:
    async def test() -> None:
        limiter = limiter_of(FakeStorage(), refused_credentials_per_minute=3)

        admitted_count = await admitted(lambda: limiter.count_refused_credential(ADDRESS), 100)
        others = await admitted(lambda: limiter.count_refused_credential(OTHERS[0]), 1)

        assert (3, 1) == (admitted_count, others)

    run(test())


def test_credentials_tried_at_the_same_time_are_no_way_around() -> None:
    async def test() -> int:
        limiter = limiter_of(FakeStorage(), refused_credentials_per_minute=3)
        return await admitted(lambda: limiter.count_refused_credential(ADDRESS), 25)

    assert 3 == run(test())


def test_a_client_that_has_named_too_many_unknown_recipients_gets_no_more_lookups() -> None:
    async def test() -> None:
        limiter = limiter_of(FakeStorage(), unknown_recipients_per_hour=50)
        await admitted(lambda: limiter.count_unknown_recipients(CLIENT, 25), 1)
        half_way = await admitted(lambda: limiter.check_lookups(CLIENT, guessed), 1)

        await admitted(lambda: limiter.count_unknown_recipients(CLIENT, 25), 1)
        refused = await refusal(limiter.check_lookups(CLIENT, guessed))

        assert 1 == half_way
        assert int(refused.headers["Retry-After"]) > 3000

    run(test())


def test_past_the_limit_contacts_are_reached_and_the_log_says_it_once() -> None:
    async def test() -> int:
        limiter = limiter_of(FakeStorage(), unknown_recipients_per_hour=25)
        await admitted(lambda: limiter.count_unknown_recipients(CLIENT, 26), 1)
        await admitted(lambda: limiter.check_lookups(CLIENT, guessed), 20)
        return await admitted(lambda: limiter.check_lookups(CLIENT, known), 20)

    async def known() -> bool:
        return True

    with capture_logs() as logged:
        admitted_count = run(test())

    assert 20 == admitted_count
    assert {"unknown_recipients"} == {each["limit"] for each in logged if each["event"] == "limit_reached"}


def test_concurrent_lookups_learn_no_more_than_the_limit() -> None:
    async def test() -> tuple[int, int]:
        limiter = limiter_of(FakeStorage(), unknown_recipients_per_hour=60)
        admitted_count = await admitted(lambda: limiter.count_unknown_recipients(CLIENT, 25), 25)
        return admitted_count, await admitted(lambda: limiter.check_lookups(CLIENT, guessed), 1)

    assert (2, 0) == run(test())


def test_a_limit_that_another_process_has_used_up_is_used_up_here_too() -> None:
    async def test() -> int:
        storage = FakeStorage()
        here, there = (limiter_of(storage, unknown_recipients_per_hour=60) for _ in range(2))
        await admitted(lambda: there.count_unknown_recipients(CLIENT, 25), 3)
        return await admitted(lambda: here.count_unknown_recipients(CLIENT, 1), 3)

    assert 0 == run(test())


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:0:1234:5678:9abc:def0", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("not an address", "not:an:address", False),
    ],
)
def test_an_address_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, *, are_same: bool) -> None:
    assert are_same == (hide_address(one, build.PEPPER) == hide_address(other, build.PEPPER))


def test_no_address_reaches_redis() -> None:
    async def test() -> str:
        storage = FakeStorage()
        await limiter_of(storage).count_refused_credential(ADDRESS)
        return " ".join(storage.keys)

    stored = run(test())

    assert "refused_credentials/" in stored
    assert ADDRESS not in stored


def test_however_many_addresses_come_the_memory_is_bounded_and_one_that_keeps_trying_is_remembered() -> None:
    async def test() -> tuple[int, int]:
        limiter = limiter_of(FakeStorage(), capacity=50, refused_credentials_per_minute=1)
        await admitted(lambda: limiter.count_refused_credential(ADDRESS), 2)
        still_in = 0
        for address in OTHERS:
            await limiter.count_refused_credential(address)
            still_in += await admitted(lambda: limiter.count_refused_credential(ADDRESS), 1)
        return len(limiter._refused_credentials._counters), still_in

    assert (50, 0) == run(test())
