"""An API with authentication over a real server, shared by many namespaces as it is meant to be."""

from __future__ import annotations

import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from ironforge.auth.audit import AuditTrail
from ironforge.settings import Settings
from tests.auth.kit import KEPT, House
from tests.support.servers import valkey

Build = Callable[..., Awaitable[House]]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
def settings(server: str) -> Settings:
    return Settings(redis_url=server, namespace=f"home-{uuid.uuid4().hex}", auth="on", key_pepper=secrets.token_hex(32))


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Starts APIs, and stops them after the test."""
    async with AsyncExitStack() as stack:

        async def start(settings: Settings, **options: Any) -> House:
            return await stack.enter_async_context(contextlib.asynccontextmanager(House.build)(settings, **options))

        yield start


@pytest.fixture
async def house(settings: Settings, build: Build) -> House:
    return await build(settings)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem`, and `<name>.pem` with `<name>.key` for the hosts `localhost` and `elsewhere`."""
    import trustme

    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name, hosts in (("localhost", ("localhost", "127.0.0.1")), ("elsewhere", ("elsewhere.example",))):
        issued = ca.issue_cert(*hosts)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return folder


@pytest.fixture
async def trail(settings: Settings) -> AsyncIterator[AuditTrail]:
    trail = AuditTrail(settings, kept=KEPT)
    yield trail
    await trail.close()


@pytest.fixture
async def client(server: str) -> AsyncIterator[redis.Redis]:
    async with redis.Redis.from_url(server) as client:
        yield client
