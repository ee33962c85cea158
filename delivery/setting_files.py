"""Read settings from files that variables name, so that a secret is in no environment and no command line."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

_SUFFIX = "_FILE"


class WrongSettingFiles(Exception):  # noqa: N818 - its text is for a person
    """Variables name files that cannot be read; the text has a line for each, without any content."""


def variable_of(settings: type[BaseSettings], field: str) -> str:
    """Return the environment variable of a field: its alias, or its name behind the prefix."""
    alias = settings.model_fields[field].validation_alias
    return str(alias) if alias else f"{settings.model_config.get('env_prefix', '')}{field.upper()}"


class SettingFiles(PydanticBaseSettingsSource):
    """The values of variables such as POSTROOM_PEPPER_FILE. An empty file counts as none.

    Raises `WrongSettingFiles` when it is asked for them.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of the file of one field, or None, with the name of the field."""
        del field
        name = variable_of(self.settings_cls, field_name)
        path = os.environ.get(name + _SUFFIX)  # noqa: TID251 - this is where settings are read
        return (_read(name, Path(path)) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by field."""
        found, wrong = {}, []
        for field_name, field in self.settings_cls.model_fields.items():
            try:
                value, name, _ = self.get_field_value(field, field_name)
            except (OSError, ValueError) as error:
                wrong.append(f"  {variable_of(self.settings_cls, field_name)}{_SUFFIX}: {_reason(error)}")
            else:
                found.update({name: value} if value else {})
        if wrong:
            raise WrongSettingFiles("\n".join(wrong))
        return found


def _read(name: str, path: Path) -> str:
    """Return the content without the line end that editors put behind it. Raises `OSError` or `ValueError`."""
    if os.environ.get(name):  # noqa: TID251 - this is where settings are read
        raise ValueError(f"{name} has a value too; leave one of them out")
    return path.read_text(encoding="utf-8").removesuffix("\n")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):  # Its text quotes bytes of the file.
        return "the file is no text in UTF-8"
    return f"the file cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
