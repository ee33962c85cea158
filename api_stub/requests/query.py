"""The parameters of a question: each once and well-formed, or every fault in them at once."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from delivery.intake.errors import FieldError, InvalidInput

Value = TypeVar("Value")


class Parameters:
    """Reads parameters one by one and remembers the faults. Those that nobody asks for are ignored."""

    def __init__(self, request: Request) -> None:
        self._given = request.query_params
        self._faults: list[FieldError] = []

    def read(self, name: str, parse: Callable[[str], Value | None], hint: str) -> Value | None:
        """Read a parameter; None when it is absent or wrong. `hint` says what it must be."""
        texts = self._given.getlist(name)
        if not texts:
            return None
        value = parse(texts[0]) if len(texts) == 1 else None
        if value is None:
            self._faults.append(FieldError(name, "invalid_value", f"{name} must be given once and be {hint}."))
        return value

    def refuse_faults(self) -> None:
        """Raise `Unacceptable` when a parameter that was read is wrong."""
        if self._faults:
            raise InvalidInput(self._faults)
