"""What a process holds open for each namespace: opened once, kept while in use, bounded, closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge.api import tenants
from ironforge.api.tenants import TenantPool
from ironforge.auth.quota import NO_QUOTA, Quota
from ironforge.errors import StoreUnavailable


class TenantServices:
    """Stands for the doors of a namespace: only its life matters here."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.quotas = self
        self.quota = NO_QUOTA
        self.open = True


class Book:
    """Stands for the quotas in the store."""

    def __init__(self) -> None:
        self.quota = Quota(stored_jobs=7)
        self.asked = 0
        self.away = False

    async def get(self, _namespace: str) -> Quota:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.quota


class Building:
    def __init__(self, most: int) -> None:
        self.book = Book()
        self.made: list[TenantServices] = []
        self.tenants: Any = TenantPool(self._open, self.book, most=most)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def _open(self, namespace: str) -> AsyncIterator[Any]:
        services = TenantServices(namespace)
        self.made.append(services)
        await asyncio.sleep(0)
        yield services
        services.open = False

    @property
    def open(self) -> list[str]:
        return sorted(services.namespace for services in self.made if services.open)


async def test_an_office_is_opened_once_and_the_least_used_one_is_closed() -> None:
    building = Building(most=2)
    for namespace in ("a", "b", "a", "c"):
        with await building.tenants.acquire(namespace) as services:
            assert services.open
    assert building.open == ["a", "c"]
    assert len(building.made) == 3

    await building.tenants.close()
    assert building.open == []


async def test_an_office_with_somebody_in_it_is_never_closed() -> None:
    building = Building(most=1)
    with await building.tenants.acquire("a") as first:
        for namespace in ("b", "c", "d"):
            with await building.tenants.acquire(namespace):
                assert first.open
    with await building.tenants.acquire("e"):
        pass

    assert building.open == ["e"]


async def test_many_who_come_at_once_share_one_office() -> None:
    building = Building(most=8)

    async def come() -> Any:
        with await building.tenants.acquire("a") as services:
            await asyncio.sleep(0)
            return services

    tenants = await asyncio.gather(*(come() for _ in range(20)))
    assert len(set(tenants)) == 1
    assert building.open == ["a"]


async def test_quotas_are_looked_up_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    building = Building(most=8)
    now = 1_000.0
    monkeypatch.setattr(tenants.time, "monotonic", lambda: now)
    for _ in range(3):
        with await building.tenants.acquire("a") as services:
            assert services.quota == building.book.quota
    assert building.book.asked == 1
    building.book.quota = NO_QUOTA
    now += tenants.QUOTA_SECONDS
    with await building.tenants.acquire("a") as services:
        assert services.quota == NO_QUOTA


async def test_without_its_quota_nobody_gets_in() -> None:
    building = Building(most=1)
    building.book.away = True
    for namespace in ("a", "b"):
        with pytest.raises(StoreUnavailable), await building.tenants.acquire(namespace):
            pytest.fail("somebody got in")
    building.book.away = False
    with await building.tenants.acquire("c"):
        pass

    assert building.open == ["c"]
