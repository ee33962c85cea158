"""The answer of a back-test for people: what each rule hit, how sure its precision is, and a chart by day."""

from collections.abc import Mapping
from typing import Any

_BAR = 40


def describe(counted: Mapping[str, Any]) -> str:
    """Return the figures as text, at most 100 columns wide."""
    messages = counted["messages"]
    if not messages:
        return "No message is stored of that time."
    lines = [
        f"{messages:,} messages; {counted['held']:,} would have been held or refused, {counted['held_before']:,} were.",
        f"Reading and rules took {counted['cpu_us_per_message']:.0f} us of CPU for each message.",
    ]
    for name, rule in counted["rules"].items():
        lines += ["", *_rule_lines(name, rule, messages)]
    for title, ids in (("Newly held", counted["newly_held"]), ("No longer held", counted["no_longer_held"])):
        lines += ["", f"{title} ({len(ids)}): {', '.join(ids[:5]) or 'none'}{' and more' if len(ids) > 5 else ''}"]
    return "\n".join(lines)


def _rule_lines(name: str, rule: Mapping[str, Any], messages: int) -> list[str]:
    lines = [f"{name}: {rule['hits']:,} hits ({rule['hits'] / messages:.2%}), {rule['alone']:,} by no other rule"]
    precision = rule["precision_where_looked_at"]
    known = "nothing is known about its precision"
    if precision:
        known = f"precision {precision['value']:.2f} [{precision['low']:.2f}, {precision['high']:.2f}]"
    lines.append(
        f"  staff upheld {rule['staff_upheld']:,}, released {rule['staff_released']:,}, never looked at "
        f"{rule['never_looked_at']:,}: {known}"
    )
    if rule["failed"]:
        lines.append(f"  failed on {rule['failed']:,} messages")
    if rule["together_with"]:
        lines.append(
            "  together with " + ", ".join(f"{other} ({each:,})" for other, each in rule["together_with"].items())
        )
    highest = max(rule["by_day"].values(), default=1)
    lines += [f"  {day} {'#' * max(1, _BAR * number // highest)} {number:,}" for day, number in rule["by_day"].items()]
    lines.append(f"  samples: {', '.join(rule['samples'][:5])}")
    return lines
