"""The Python client with a credential, and what its callers catch."""

from __future__ import annotations

import pytest

from ironforge import errors
from ironforge.auth.quota import Quota
from ironforge.client.client import AsyncClient
from tests.auth.kit import House


async def test_the_client_sends_its_key(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await house.key()
    async with AsyncClient(house.url, api_key=key + "\n") as client:
        accepted = await client.submit("demo.echo")
    monkeypatch.setenv("IRONFORGE_API_KEY", key)
    async with AsyncClient(house.url) as client:
        assert (await client.get(accepted["id"]))["id"] == accepted["id"]


async def test_refusals_are_what_the_errors_say(house: House) -> None:
    async with AsyncClient(house.url, api_key="") as client:
        with pytest.raises(errors.Unauthenticated) as nobody:
            await client.stats()
    async with AsyncClient(house.url, api_key=await house.key(["jobs:read"])) as client:
        with pytest.raises(errors.Forbidden) as lacking:
            await client.submit("demo.echo")

    assert type(nobody.value) is errors.Unauthenticated
    assert type(lacking.value) is errors.Forbidden
    assert nobody.value.code == "missing_credentials"
    assert lacking.value.code == "missing_scope"


async def test_a_quota_that_frees_late_is_not_waited_for(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=1e-6, burst=1))
    async with AsyncClient(house.url, api_key=key) as client:
        await client.submit("demo.echo")
        with pytest.raises(errors.QuotaExceeded) as caught:
            await client.submit("demo.echo")

    assert type(caught.value) is errors.QuotaExceeded
    assert caught.value.quota == "key.submissions_per_second"
    assert caught.value.current == 0
    assert caught.value.limit == 1e-6
    assert caught.value.retry_seconds > 1_000


async def test_a_quota_that_frees_soon_is_waited_for(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=20, burst=1))
    async with AsyncClient(house.url, api_key=key, retries=5) as client:
        for _ in range(3):
            await client.submit("demo.echo")


async def test_a_public_probe_does_not_say_what_is_wrong(settings, build) -> None:
    import msgspec

    house = await build(msgspec.structs.replace(settings, redis_url="unix:///nowhere/secret-host.sock"))
    answer = await house.call("GET", "/readyz")

    assert answer.status == 503
    assert answer.body["status"] == "not ready"
    assert "secret-host" not in str(answer.body)
