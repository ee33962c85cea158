"""Read the parameters of a query string, and report all their errors at once."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from delivery.intake.errors import FieldError, InvalidInput

Value = TypeVar("Value")


class Parameters:
    """Reads parameters one by one and collects their errors. Parameters that are not read are ignored."""

    def __init__(self, request: Request) -> None:
        self._parameters = request.query_params
        self._errors: list[FieldError] = []

    def read(self, name: str, parse: Callable[[str], Value | None], hint: str) -> Value | None:
        """Return a parameter; None when it is absent or invalid. `hint` describes what it must be."""
        texts = self._parameters.getlist(name)
        if not texts:
            return None
        value = parse(texts[0]) if len(texts) == 1 else None
        if value is None:
            self._errors.append(FieldError(name, "invalid_value", f"{name} must be given once and be {hint}."))
        return value

    def refuse_faults(self) -> None:
        """Raise `InvalidInput` when a parameter that was read is invalid."""
        if self._errors:
            raise InvalidInput(self._errors)
