"""Keep the README's table of settings in step with `Settings`.

python tools/settings_table.py          # write the table into README.md
python tools/settings_table.py --check  # fail when README.md has another
"""

import sys
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from delivery.settings import Settings, environment_name

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"


def main() -> None:
    """Write the table, or with --check compare it."""
    before = README.read_text(encoding="utf-8")
    head, rest = before.split(BEGIN)
    _, tail = rest.split(END)
    after = f"{head}{BEGIN}\n{table()}\n{END}{tail}"
    if "--check" not in sys.argv[1:]:
        README.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit("The table of settings in README.md is out of step. Run: make format")


def table() -> str:
    """Write every setting as a row of a Markdown table."""
    rows = [
        f"| `{environment_name(name)}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        ["| Variable | Default | Meaning |", "|---|---|---|", *(row.replace("`|`", "`\\|`") for row in rows)]
    )


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return f"`{value}`" if value != "" else "empty"


if __name__ == "__main__":
    main()
