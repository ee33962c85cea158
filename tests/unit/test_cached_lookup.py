"""The short memory: one query for many, and nothing believed for longer than it should be."""

import asyncio
from collections.abc import Mapping

import pytest

from api_stub.batching.cached_lookup import KEPT_S, CachedLookup


class Shelf:
    """Answers what it knows, when it is let, and notes what it was asked."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_asked = asyncio.Event()
        self.error: Exception | None = None
        self.now = 100.0

    async def look_up(self, keys: list[str]) -> Mapping[str, str]:
        """Answer a query."""
        self.asked.append(keys)
        self.is_asked.set()
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return {key: self.known[key] for key in keys if key in self.known}

    def lookup(self) -> "CachedLookup[str, str]":
        """Make a memory of this shelf."""
        return CachedLookup(self.look_up, lambda: self.now)


def test_what_was_found_is_remembered_for_a_moment_and_then_asked_again() -> None:
    async def scene() -> tuple[list[str | None], int]:
        shelf = Shelf(a="1")
        lookup = shelf.lookup()
        first = await lookup.get("a")
        del shelf.known["a"]
        shelf.now += KEPT_S - 0.01
        second = await lookup.get("a")
        shelf.now += 0.01
        return [first, second, await lookup.get("a")], len(shelf.asked)

    assert (["1", "1", None], 2) == asyncio.run(scene())


def test_what_was_not_found_is_asked_anew_and_takes_no_memory() -> None:
    async def scene() -> tuple[str | None, str | None, int]:
        shelf = Shelf()
        lookup = shelf.lookup()
        first = await lookup.get("a")
        shelf.known["a"] = "1"
        return first, await lookup.get("a"), len(lookup._kept)

    assert (None, "1", 1) == asyncio.run(scene())


def test_concurrent_questions_share_queries() -> None:
    async def scene() -> tuple[list[str | None], list[list[str]]]:
        shelf = Shelf(a="1", b="2")
        shelf.may_answer.clear()
        lookup = shelf.lookup()
        asking = [asyncio.create_task(lookup.get(key)) for key in ["a", *"abbcca"]]
        await asyncio.sleep(0)
        shelf.may_answer.set()
        return await asyncio.gather(*asking), shelf.asked

    answers, asked = asyncio.run(scene())

    assert ["1", "1", "2", "2", None, None, "1"] == answers
    assert [["a", "b", "c"]] == asked


def test_an_answer_is_as_old_as_its_question() -> None:
    async def scene() -> int:
        shelf = Shelf(a="1")
        shelf.may_answer.clear()
        lookup = shelf.lookup()
        asking = asyncio.create_task(lookup.get("a"))
        await shelf.is_asked.wait()
        shelf.now += KEPT_S
        shelf.may_answer.set()
        await asking
        await lookup.get("a")
        return len(shelf.asked)

    assert 2 == asyncio.run(scene())


def test_one_who_hangs_up_takes_the_answer_from_nobody() -> None:
    async def scene() -> str | None:
        shelf = Shelf(a="1")
        shelf.may_answer.clear()
        lookup = shelf.lookup()
        hasty, patient = (asyncio.create_task(lookup.get("a")) for _ in range(2))
        await asyncio.sleep(0)
        hasty.cancel()
        shelf.may_answer.set()
        return await patient

    assert "1" == asyncio.run(scene())


def test_a_failed_query_is_told_to_all_who_wait_and_the_next_one_is_asked_anew() -> None:
    async def scene() -> tuple[list[object], str | None]:
        shelf = Shelf(a="1")
        shelf.may_answer.clear()
        shelf.error = TimeoutError()
        lookup = shelf.lookup()
        early = asyncio.create_task(lookup.get("a"))
        await shelf.is_asked.wait()
        late = asyncio.create_task(lookup.get("b"))
        await asyncio.sleep(0)
        shelf.may_answer.set()
        failed = await asyncio.gather(early, late, return_exceptions=True)
        shelf.error = None
        return [type(each) for each in failed], await lookup.get("a")

    assert ([TimeoutError, TimeoutError], "1") == asyncio.run(scene())


def test_old_answers_are_forgotten() -> None:
    async def scene() -> int:
        shelf = Shelf(**{f"k{i}": "x" for i in range(1000)})
        lookup = shelf.lookup()
        for key in shelf.known:
            shelf.now += KEPT_S / 10
            await lookup.get(key)
        return len(lookup._kept)

    assert asyncio.run(scene()) == pytest.approx(10, abs=1)
