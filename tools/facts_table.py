"""Write the tables of facts in docs/rules.md from the catalogue.

python -m tools.facts_table          # write the tables
python -m tools.facts_table --check  # fail when they differ
"""

from delivery.detection.facts import CATALOGUE, FactSource
from tools.generated import keep_part

DOCUMENT = "docs/rules.md"
PART = "facts"
_TITLES = {
    FactSource.MESSAGE: "Known from the message itself",
    FactSource.HISTORY: "Known from the time before the message",
}


def main() -> None:
    """Write the tables, or with --check compare them."""
    keep_part(DOCUMENT, PART, table())


def table() -> str:
    """Return a Markdown table for each source of facts."""
    parts = []
    for source, title in _TITLES.items():
        rows = [f"| `{fact.name}` | {fact.type} | {fact.meaning} |" for fact in CATALOGUE if fact.source is source]
        parts.append("\n".join([f"### {title}", "", "| Fact | Type | Meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
