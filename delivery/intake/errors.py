"""What is wrong with what was sent: every fault at once, in the contract's words (CONTRACT.md section 5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request. `message` is for a person and never echoes what was sent."""

    field: str
    code: str
    message: str
    index: int | None = None

    @property
    def place(self) -> str:
        """The field's name as an answer shows it, such as `recipient_uuids[3]`."""
        return self.field if self.index is None else f"{self.field}[{self.index}]"


class InvalidInput(Exception):  # noqa: N818 - it is a verdict on a request, not an error of ours
    """What was sent cannot be accepted; `faults` has every reason, in order of field and index."""

    def __init__(self, faults: list[FieldError]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.field, -1 if fault.index is None else fault.index))
        super().__init__("; ".join(f"{fault.place}: {fault.code}" for fault in self.faults))


def body_fault(code: str, message: str) -> InvalidInput:
    """Give the verdict on a body that cannot be read as a whole."""
    return InvalidInput([FieldError("", code, message)])
