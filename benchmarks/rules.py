"""`make bench-rules`: microseconds of CPU that the rules take for one message, by kind of text and number of rules."""

import time
from collections.abc import Callable
from dataclasses import replace

from delivery.detection.text_facts import MessageText
from delivery.rulebook.evaluation import for_scenes
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules.rule_engine import RuleEngine
from delivery.rules.rule_set import Mode, Rule, RuleSet, WordList

_TIMES = 400
_PLAIN = "Hello, could you translate fourteen pages of a catalogue by Friday next week? The tone is friendly. "
_CYRILLIC = "Здравствуйте, не могли бы вы перевести четырнадцать страниц каталога к пятнице? Тон дружеский. "
_CHINESE = "您好 请问您能在下周五之前翻译十四页的产品目录吗 语气友好一些就可以 谢谢。"
_TEXTS = {
    "plain, 500 characters": _PLAIN * 5,
    "plain, 2 kB": _PLAIN * 20,
    "linked, 2 kB": (_PLAIN + "See https://catalogue.example.com/2026?page=3 or www.example.org. ") * 13,
    "with words of lists, 2 kB": _PLAIN * 19 + "It is urgent: write me on WhatsApp, and send me the code.",
    "Cyrillic, 2 kB": _CYRILLIC * 11,
    "Chinese, 2 kB": _CHINESE * 19,
    "Cyrillic, 24 kB": _CYRILLIC * 138,
    "Chinese, 24 kB": _CHINESE * 223,
    "hostile, 24 kB of words of lists": "send urgent code account password dame codigo whatsapp " * 436,
    "hostile, 24 kB of links and signs": "a.b@c.d://x.y.z\u200bp\u0430y 1,2.3 " * 900,
    "hostile, 65,536 invisible characters": "\u200b" * 65_535 + "a",
}


def main() -> None:
    """Measure and print."""
    shipped = for_scenes(shipped_rule_set())
    _report("shipped rules", shipped, _TEXTS)
    plain = {"plain, 2 kB": _TEXTS["plain, 2 kB"]}
    for number in (20, 100, 500):
        _report(f"{number} rules", _with_rules(number), plain)
    entries = tuple(f"phrase number{index}x" for index in range(100_000))
    _report("shipped rules and a list of 100,000", _with_list(shipped, entries), plain)


def _with_rules(number: int) -> RuleSet:
    rules = [
        Rule(f"rule-{index}", f"text.links > {index} && text.phones > 0", mode=Mode.LIVE) for index in range(number)
    ]
    return RuleSet(rules=tuple(rules))


def _with_list(rule_set: RuleSet, entries: tuple[str, ...]) -> RuleSet:
    rule = Rule("large", "list.large > 0", mode=Mode.LIVE)
    lists = (*rule_set.lists, WordList("large", entries))
    return replace(rule_set, lists=lists, rules=(*rule_set.rules, rule))


def _report(title: str, rule_set: RuleSet, texts: dict[str, str]) -> None:
    engine = RuleEngine(rule_set)
    for name, text in texts.items():
        message = MessageText("A question", text, "Ada Lovelace", "ada@example.com")
        times = _measure(lambda message=message: engine.apply(engine.read(message)))  # type: ignore[misc] # bound now
        middle, high = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"{title:<38} {name:<40} p50 {middle:8.0f} us   p99 {high:8.0f} us", flush=True)


def _measure(work: Callable[[], object]) -> list[float]:
    """Return the sorted microseconds of CPU time of single runs, after some that fill caches."""
    for _ in range(20):
        work()
    times = []
    for _ in range(_TIMES):
        start = time.thread_time_ns()
        work()
        times.append((time.thread_time_ns() - start) / 1000)
    return sorted(times)


if __name__ == "__main__":
    main()
