"""Write the diagram in docs/architecture.md from the table of legal transitions.

python -m tools.state_diagram          # write the diagram
python -m tools.state_diagram --check  # fail when the diagram differs
"""

from delivery.rules.states import LEGAL_TRANSITIONS, STATE_CLASSES, is_final
from delivery.vocabulary import State
from tools.generated import keep_part

DOCUMENT = "docs/architecture.md"
PART = "states"


def main() -> None:
    """Write the diagram and its table, or with --check compare them."""
    keep_part(DOCUMENT, PART, diagram())


def diagram() -> str:
    """Return the transitions as a Mermaid diagram, and below it as a Markdown table for readers in a terminal."""
    return "\n".join(["```mermaid", "stateDiagram-v2", *_arrows(), "```", "", *_rows()])


def _arrows() -> list[str]:
    arrows = [f"{before} --> {after}" for before in State for after in _next_states(before)]
    ends = [f"{state} --> [*]" for state in State if is_final(state)]
    return [f"    {arrow}" for arrow in (f"[*] --> {State.ACCEPTED}", *arrows, *ends)]


def _rows() -> list[str]:
    rows = [f"| `{state}` | {STATE_CLASSES[state].value} | {_cell(_next_states(state))} |" for state in State]
    return ["| State | Counts as | Next states |", "|---|---|---|", *rows]


def _cell(states: list[State]) -> str:
    return ", ".join(f"`{state}`" for state in states) or "none: it is final"


def _next_states(state: State) -> list[State]:
    """Return the states that may follow, in the order of the vocabulary."""
    return [after for after in State if after in LEGAL_TRANSITIONS[state]]


if __name__ == "__main__":
    main()
