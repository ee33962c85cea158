"""One query serves many requests, and no value is used for longer than a second."""

import asyncio
from collections.abc import Mapping

import pytest

from api_stub.batching.cached_lookup import KEPT_S, CachedLookup


class FakeTable:
    """Return known values once `may_answer` is set, and record the queries."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.queries: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_queried = asyncio.Event()
        self.error: Exception | None = None
        self.now = 100.0

    async def look_up(self, keys: list[str]) -> Mapping[str, str]:
        """Return the known values of these keys."""
        self.queries.append(keys)
        self.is_queried.set()
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return {key: self.known[key] for key in keys if key in self.known}

    def lookup(self) -> "CachedLookup[str, str]":
        """Make a lookup in this table."""
        return CachedLookup(self.look_up, lambda: self.now)


def test_what_was_found_is_kept_for_a_moment_and_then_queried_again() -> None:
    async def check() -> tuple[list[str | None], int]:
        table = FakeTable(a="1")
        lookup = table.lookup()
        first = await lookup.get("a")
        del table.known["a"]
        table.now += KEPT_S - 0.01
        second = await lookup.get("a")
        table.now += 0.01
        return [first, second, await lookup.get("a")], len(table.queries)

    assert (["1", "1", None], 2) == asyncio.run(check())


def test_what_was_not_found_is_queried_again_and_takes_no_memory() -> None:
    async def check() -> tuple[str | None, str | None, int]:
        table = FakeTable()
        lookup = table.lookup()
        first = await lookup.get("a")
        table.known["a"] = "1"
        return first, await lookup.get("a"), len(lookup._kept)

    assert (None, "1", 1) == asyncio.run(check())


def test_concurrent_requests_share_queries() -> None:
    async def check() -> tuple[list[str | None], list[list[str]]]:
        table = FakeTable(a="1", b="2")
        table.may_answer.clear()
        lookup = table.lookup()
        tasks = [asyncio.create_task(lookup.get(key)) for key in ["a", *"abbcca"]]
        await asyncio.sleep(0)
        table.may_answer.set()
        return await asyncio.gather(*tasks), table.queries

    values, queries = asyncio.run(check())

    assert ["1", "1", "2", "2", None, None, "1"] == values
    assert [["a", "b", "c"]] == queries


def test_a_value_is_as_old_as_its_query() -> None:
    async def check() -> int:
        table = FakeTable(a="1")
        table.may_answer.clear()
        lookup = table.lookup()
        tasks = asyncio.create_task(lookup.get("a"))
        await table.is_queried.wait()
        table.now += KEPT_S
        table.may_answer.set()
        await tasks
        await lookup.get("a")
        return len(table.queries)

    assert 2 == asyncio.run(check())


def test_a_cancelled_request_takes_the_value_from_no_other() -> None:
    async def check() -> str | None:
        table = FakeTable(a="1")
        table.may_answer.clear()
        lookup = table.lookup()
        leaving, staying = (asyncio.create_task(lookup.get("a")) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        table.may_answer.set()
        return await staying

    assert "1" == asyncio.run(check())


def test_a_failed_query_fails_all_waiting_requests_and_the_next_one_is_sent_again() -> None:
    async def check() -> tuple[list[object], str | None]:
        table = FakeTable(a="1")
        table.may_answer.clear()
        table.error = TimeoutError()
        lookup = table.lookup()
        early = asyncio.create_task(lookup.get("a"))
        await table.is_queried.wait()
        late = asyncio.create_task(lookup.get("b"))
        await asyncio.sleep(0)
        table.may_answer.set()
        failed = await asyncio.gather(early, late, return_exceptions=True)
        table.error = None
        return [type(each) for each in failed], await lookup.get("a")

    assert ([TimeoutError, TimeoutError], "1") == asyncio.run(check())


def test_old_values_are_dropped() -> None:
    async def check() -> int:
        table = FakeTable(**{f"k{i}": "x" for i in range(1000)})
        lookup = table.lookup()
        for key in table.known:
            table.now += KEPT_S / 10
            await lookup.get(key)
        return len(lookup._kept)

    assert asyncio.run(check()) == pytest.approx(10, abs=1)
