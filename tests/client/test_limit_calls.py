"""Limits from the Python client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ironforge import AsyncClient, Client
from ironforge.errors import InvalidJob, LimitNotFound
from ironforge.job.limits import Rate

RATE = {"units": 100, "per_seconds": 1.0, "burst": 20}


@pytest.fixture
async def client(api: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api.url) as made:
        yield made


async def test_a_limit_is_defined_overridden_looked_at_and_deleted(client: AsyncClient) -> None:
    made = await client.put_limit("stripe", concurrency=1, rate=Rate(100, burst=20), order="fifo", on_failure="park")
    defined = {"concurrency": 1, "rate": RATE, "order": "fifo", "on_failure": "park"}
    assert made == {"name": "stripe", "limit": defined, "override": None, "effective": defined}
    assert await client.limits() == {"limits": [made]}

    until = datetime(2040, 1, 31, 12, tzinfo=UTC)
    overridden = await client.override_limit("stripe", rate=Rate(10, 60), until=until, note="slow")
    assert overridden["override"] == {
        "concurrency": None,
        "rate": {"units": 10, "per_seconds": 60.0, "burst": 0},
        "until": "2040-01-31T12:00:00.000Z",
        "note": "slow",
    }
    assert (await client.override_limit("stripe"))["override"] is None
    assert (await client.limit("stripe", key="acct_42"))["key"]["remaining"] == 1
    assert (await client.limit("stripe"))["key"] is None
    assert (await client.resume_limit("stripe", key="acct_42"))["released"] == 0
    assert (await client.delete_limit("stripe"))["deleted"] is True
    with pytest.raises(LimitNotFound, match="no limit stripe"):
        await client.limit("stripe")


async def test_what_is_no_name_is_refused_before_any_request() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(InvalidJob, match="'a/b' is not a name"):
            client.limit("a/b")


def test_the_plain_client_makes_the_same_calls(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        assert client.put_limit("stripe", concurrency=3)["effective"] == {"concurrency": 3}
