"""Write the table of imports in docs/architecture.md from the import contracts in pyproject.toml.

python -m tools.import_layers          # write the table
python -m tools.import_layers --check  # fail when the table differs
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tools.generated import ROOT, keep_part

DOCUMENT = "docs/architecture.md"
PART = "imports"

# Of a contract that forbids more modules, only so many are shown: pyproject.toml has all of them.
_SHOWN = 8


def main() -> None:
    """Write the table, or with --check compare it."""
    keep_part(DOCUMENT, PART, table())


def table() -> str:
    """Return a Markdown table with a row for each import contract. In it, `A → B` means that A may import B."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rows = [
        f"| {each['name']} | {_RULES[each['type']](each)} |" for each in project["tool"]["importlinter"]["contracts"]
    ]
    return "\n".join(["| Contract | Rule |", "|---|---|", *rows])


def _layers(contract: Mapping[str, Any]) -> str:
    where = f"in {_names(contract['containers'])}: " if "containers" in contract else ""
    return where + " → ".join(_names(layer.split(" | ")) for layer in contract["layers"])


def _independence(contract: Mapping[str, Any]) -> str:
    return f"{_names(contract['modules'])} never import each other"


def _forbidden(contract: Mapping[str, Any]) -> str:
    forbidden: list[str] = contract["forbidden_modules"]
    more = f" and {len(forbidden) - _SHOWN} more" if len(forbidden) > _SHOWN else ""
    excepted = _names(dict.fromkeys(each.partition(" -> ")[0] for each in contract.get("ignore_imports", [])))
    never = f"{_names(contract['source_modules'])} never import {_names(forbidden[:_SHOWN])}{more}"
    return f"{never}, except in {excepted}" if excepted else never


def _acyclic(contract: Mapping[str, Any]) -> str:
    return f"among what stands side by side in {_names(contract['ancestors'])}"


def _names(modules: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in modules)


_RULES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "layers": _layers,
    "independence": _independence,
    "forbidden": _forbidden,
    "acyclic_siblings": _acyclic,
}


if __name__ == "__main__":
    main()
