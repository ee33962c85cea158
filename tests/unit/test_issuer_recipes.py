"""The recipes of docs/issuers.md are complete settings, and unsafe changes to them are refused at the start."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from delivery.settings import environment_name, settings_from
from tests.support import build
from tests.support.vendor_tokens import AUTH0, COGNITO, ENTRA, KEYCLOAK, OKTA, Vendor


@pytest.mark.parametrize(
    ("vendor", "chosen", "sentence"),
    [
        (COGNITO, {"issuer_scope_prefix": ""}, "prefix of scopes"),
        (COGNITO, {"issuer_audience_required": True}, "needs an audience"),
        (ENTRA, {"issuer_client_claim": "sub"}, "azp or appid"),
        (ENTRA, {"issuer_client_claim": "client_id"}, "azp or appid"),
        (OKTA, {"issuer_scope_prefix": "post room/"}, "issuer_scope_prefix"),
        (OKTA, {"issuer_scope_claim": "groups"}, "issuer_scope_claim"),
        (OKTA, {"issuer_client_claim": "email"}, "issuer_client_claim"),
        (OKTA, {"issuer_token_type": "id+jwt"}, "issuer_token_type"),
    ],
)
def test_settings_that_would_be_unsafe_or_never_match_are_refused_at_the_start(
    vendor: Vendor, chosen: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        vendor.configure(**chosen)


@pytest.mark.parametrize(
    ("heading", "vendor"),
    [
        ("Keycloak", KEYCLOAK),
        ("Okta", OKTA),
        ("Microsoft Entra ID", ENTRA),
        ("Amazon Cognito", COGNITO),
        ("Auth0", AUTH0),
    ],
)
def test_the_recipe_of_the_document_is_what_is_tested_here(heading: str, vendor: Vendor) -> None:
    document = Path("docs/issuers.md").read_text(encoding="utf-8")
    section = document.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    block = section.strip("\n").partition("\n\n")[0]

    recipe = dict(line.strip().split("=", 1) for line in block.splitlines())

    assert recipe == {environment_name(name): _written(value) for name, value in vendor.settings.items()}
    configured = settings_from({**recipe, "POSTROOM_PEPPER": build.PEPPER.get_secret_value()})
    assert vendor.settings == {name: getattr(configured, name) for name in vendor.settings}


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
