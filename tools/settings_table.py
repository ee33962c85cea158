"""Write the table in docs/settings.md from `Settings`.

python -m tools.settings_table          # write the table
python -m tools.settings_table --check  # fail when the table differs
"""

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from delivery.settings import Settings, environment_name
from tools.generated import keep_part

DOCUMENT = "docs/settings.md"
PART = "settings"


def main() -> None:
    """Write the table, or with --check compare it."""
    keep_part(DOCUMENT, PART, table())


def table() -> str:
    """Return a Markdown table with a row for each setting."""
    own_first = sorted(Settings.model_fields.items(), key=lambda each: each[0] not in Settings.__annotations__)
    rows = [f"| `{environment_name(name)}` | {_default(field)} | {field.description} |" for name, field in own_first]
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
