"""What /openapi.json promises with authentication is what the API does, credentials included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironforge.api.openapi import document
from ironforge.api.routes import OPERATIONS
from ironforge.auth.caller import SCOPES
from tests.auth.kit import House
from tests.cli.kit import Service, ironforge
from tests.support.contract import CONTRACT_TIMEOUT_SECONDS, differences
from tests.support.servers import valkey

PEPPER = "0123456789abcdef0123456789abcdef"


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(CONTRACT_TIMEOUT_SECONDS)
def test_schemathesis_finds_no_difference(tmp_path: Path) -> None:
    """Above all that nothing answers without a credential, or with a wrong one (`ignored_auth`)."""
    with valkey() as server:
        common = {"redis_url": server, "key_pepper": PEPPER}
        key = ironforge("keys", "create", "ops", "--scope", ",".join(SCOPES), **common).stdout.strip()
        with Service("api", "--port", "0", auth="on", **common) as api:
            url = json.loads(api.logged("api is listening"))["url"]
            credential = ("--header", f"Authorization: Bearer {key}")

            assert differences(url, *credential, "--max-examples=5", cwd=tmp_path) == ""


async def test_the_document_says_which_scope_a_call_needs(house: House) -> None:
    served = (await house.call("GET", "/openapi.json")).body

    assert served == document(auth=True)
    for call in OPERATIONS:
        described = served["paths"][call.path][call.method]
        if call.access == "public":
            assert "security" not in described
            continue
        assert described["security"] == [{"credential": [] if call.access == "caller" else [call.access]}]
        assert {"401", "403"} <= set(described["responses"])


def test_without_authentication_the_document_knows_nothing_of_it() -> None:
    plain = document()

    assert "securitySchemes" not in plain["components"]
    assert not {"/keys", "/keys/{key_id}", "/quotas", "/audit"} & set(plain["paths"])
    assert "401" not in json.dumps(plain)
