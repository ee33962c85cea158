"""The OpenAPI document, as programs that generate clients read it."""

from api_stub.app import make_http_app
from tests.support import build


def test_operations_are_named_as_a_person_would_name_them_and_each_once() -> None:
    document = make_http_app(build.settings()).openapi()

    named = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert {"send_message", "read_message", "read_account", "put_preferences", "grant_token"} <= set(named)
    assert len(set(named)) == len(named)
    assert all(name.replace("_", "").isalpha() and "uuid" not in name for name in named)
