"""The chart of the drain: a bar for each contender on a logarithmic scale, written as SVG without a library."""

import math
import statistics
from collections.abc import Sequence
from html import escape

from benchmarks.drain_report import rates
from benchmarks.drain_run import DrainRun

_WIDTH, _LEFT, _RIGHT = 860, 170, 140
_BAR, _GAP, _TOP = 22, 8, 46
_LEAST = 10.0
_COLOURS = {"Postroom": "#1f6f5c", "floor": "#8a8f98"}
_PEER = "#c0793a"


def draw(runs: Sequence[DrainRun]) -> str:
    """Draw median recipients/s of the counted runs, with a whisker from the least to the most."""
    counted = [run for run in runs if run.fault is None]
    parts: list[str] = []
    top = 8
    for size in sorted({run.recipients for run in counted}, reverse=True):
        panel, height = _panel([run for run in counted if run.recipients == size], size, top)
        parts += panel
        top += height
    style = "font-family='system-ui, sans-serif' font-size='13' fill='#222'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {top}' width='{_WIDTH}' {style}>\n"
        f"<rect width='{_WIDTH}' height='{top}' fill='#fff'/>\n" + "\n".join(parts) + "\n</svg>"
    )


def _panel(runs: Sequence[DrainRun], recipients: int, top: int) -> tuple[list[str], int]:
    values = {name: list(rates(runs, name).values()) for name in dict.fromkeys(run.contender for run in runs)}
    ranked = sorted(values, key=lambda name: -statistics.median(values[name]))
    most = max(max(each) for each in values.values())
    plural = "s" if recipients > 1 else ""
    title = f"Recipients/s, {recipients} recipient{plural} a message (logarithmic; line: least to most of all rounds)"
    bars_end = top + _TOP + len(ranked) * (_BAR + _GAP)
    parts = [f"<text x='12' y='{top + 20}' font-weight='600'>{title}</text>", *_grid(top + _TOP - 12, bars_end, most)]
    for number, name in enumerate(ranked):
        parts.append(_bar(name, values[name], top + _TOP + number * (_BAR + _GAP), most))
    return parts, bars_end - top + 24


def _bar(name: str, values: Sequence[float], y: int, most: float) -> str:
    median, middle = statistics.median(values), y + _BAR / 2
    colour = next((each for start, each in _COLOURS.items() if name.startswith(start)), _PEER)
    end, least, longest = (_x(value, most) for value in (median, min(values), max(values)))
    return (
        f"<text x='{_LEFT - 10}' y='{y + 16}' text-anchor='end'>{escape(name)}</text>"
        f"<rect x='{_LEFT}' y='{y}' width='{end - _LEFT:.1f}' height='{_BAR}' rx='2' fill='{colour}'/>"
        f"<line x1='{least:.1f}' x2='{longest:.1f}' y1='{middle}' y2='{middle}' stroke='#222' stroke-width='1.5'/>"
        f"<text x='{longest + 8:.1f}' y='{y + 16}'>{median:,.0f}</text>"
    )


def _grid(top: int, bottom: int, most: float) -> list[str]:
    decades = range(int(math.log10(_LEAST)), math.ceil(math.log10(most)))
    return [
        f"<line x1='{_x(10.0**each, most):.1f}' x2='{_x(10.0**each, most):.1f}' y1='{top}' y2='{bottom}'"
        f" stroke='#ddd'/><text x='{_x(10.0**each, most):.1f}' y='{top - 2}' font-size='10' fill='#777'"
        f" text-anchor='middle'>{10**each:,}</text>"
        for each in decades
    ]


def _x(value: float, most: float) -> float:
    share = math.log10(max(value, _LEAST) / _LEAST) / math.log10(most / _LEAST)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
