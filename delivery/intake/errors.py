"""The faults in what a client sent, with the codes of docs/contract.md (Errors)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in a request. `message` is for people and never repeats what the client sent."""

    field: str
    code: str
    message: str
    index: int | None = None

    @property
    def place(self) -> str:
        """The field's name as clients read it, such as `recipient_uuids[3]`."""
        return self.field if self.index is None else f"{self.field}[{self.index}]"


class InvalidInput(Exception):  # noqa: N818 - the client is at fault, not this program
    """The input cannot be accepted; `faults` has every reason, in order of field and index."""

    def __init__(self, faults: list[FieldError]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.field, -1 if fault.index is None else fault.index))
        super().__init__("; ".join(f"{fault.place}: {fault.code}" for fault in self.faults))


def body_fault(code: str, message: str) -> InvalidInput:
    """Make the exception for a body that cannot be read as a whole."""
    return InvalidInput([FieldError("", code, message)])
