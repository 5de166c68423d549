"""A caller who may not, or not now, is not asked for a body either."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from ironforge.auth.quota import Quota
from tests.api.test_expect import first_words, head
from tests.auth.kit import House


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch", "/keys"])
async def test_whoever_may_not_submit_is_not_asked_for_a_body(house: House, path: str) -> None:
    port = urlsplit(house.url).port or 0
    reader = await house.key(scopes=["jobs:read"])

    assert b" 401 " in await first_words(port, head("POST", path))
    assert b" 403 " in await first_words(port, head("POST", path, Authorization=f"Bearer {reader}"))


async def test_whoever_is_over_the_rate_is_not_asked_for_a_body(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=1e-6, burst=1))
    port = urlsplit(house.url).port or 0
    await house.call("POST", "/jobs", key, json={"kind": "a"})

    assert b" 429 " in await first_words(port, head("POST", "/jobs/batch", Authorization=f"Bearer {key}"))
