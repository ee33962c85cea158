"""Read what a client sent into a dataclass whose annotations both check each field and describe it for OpenAPI."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from delivery.intake.errors import FieldError, InvalidInput

T = TypeVar("T")
JsonSchema = dict[str, Any]


def fault(code: str, sentence: str) -> PydanticCustomError:
    """Make the exception for a fault. `{field}` and `{index}` in the sentence stand for the place of the value."""
    return PydanticCustomError(code, sentence)


def without_default(schema: JsonSchema) -> None:
    """Take the default out of a field's schema: generators of clients would make the field required."""
    schema.pop("default", None)


class FieldType(ABC):
    """The annotation of a field: it checks the value and describes it, so that each limit and each word stands once."""

    @abstractmethod
    def read(self, value: object) -> object:
        """Return the value as the domain uses it.

        Raises `fault(...)`, or `PydanticUseDefault` for a value that means absent.
        """

    @abstractmethod
    def describe(self) -> JsonSchema:
        """Return the JSON schema of the values that a client may send."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make pydantic call `read`."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """Make pydantic call `describe`."""
        return self.describe()


class Shape(Generic[T]):
    """A dataclass that is read from the fields that a client sent. Unknown fields are ignored; null means absent."""

    def __init__(self, dataclass: type[T], *, title: str) -> None:
        self._dataclass = dataclass
        self.title = title

    def read(self, fields: Mapping[str, object], faults: Sequence[FieldError] = ()) -> T:
        """Read the fields. Raises `InvalidInput` with these faults and with every fault of every field."""
        try:
            value = self.validate(fields)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise InvalidInput([*map(_field_error, found), *faults]) from None
        if faults:
            raise InvalidInput(list(faults))
        return value

    def validate(self, fields: Mapping[str, object]) -> T:
        """Read the fields. Raises `ValidationError`, so that a shape can be a field of another one."""
        return self._adapter.validate_python(self._required | self.given(fields))

    def given(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return the fields of this shape that are there."""
        return {name: value for name in self._names if (value := fields.get(name)) is not None}

    @cached_property
    def schema(self) -> JsonSchema:
        """The JSON schema of an object of this shape."""
        return {**self._adapter.json_schema(), "title": self.title}

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._dataclass)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.schema["properties"])

    @cached_property
    def _required(self) -> dict[str, object]:
        """Null for each required field, so that its annotation writes the sentence about a missing one."""
        return dict.fromkeys(self.schema.get("required", ()))


def _field_error(error: ErrorDetails) -> FieldError:
    last = error["loc"][-1]
    if isinstance(last, int):
        field = str(error["loc"][0])
        message = (
            error["msg"].replace("{index}", str(last)).replace("{field}", f"Entry {last} (counted from 0) of {field}")
        )
        return FieldError(field, error["type"], message, last)
    field = ".".join(map(str, error["loc"]))
    return FieldError(field, error["type"], error["msg"].replace("{field}", field))
