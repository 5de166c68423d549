"""What is taken for an own name follows from the address that is listened on, for the API and for a node's probes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from ironforge.api import create_app
from ironforge.api.server import serve
from ironforge.runtime.probes import probes
from ironforge.settings import Settings
from ironforge.store import StoreClient


@pytest.fixture
async def public(settings: Settings) -> AsyncIterator[int]:
    """The port of an API that other machines reach, and that asks nobody who they are."""
    store_client = StoreClient(settings)
    runner = await serve(
        create_app(settings, store_client),
        "0.0.0.0",
        0,
        allow_public=True,
    )
    yield runner.addresses[0][1]
    await runner.cleanup()
    await store_client.close()


async def test_on_an_address_of_others_any_name_may_be_its_own_but_no_page_of_another_site(public: int) -> None:
    url = f"http://127.0.0.1:{public}/queues/default/pause"
    async with aiohttp.ClientSession() as session:
        for headers, status in (
            ({"Host": "ironforge.default.svc"}, 200),
            ({"Host": "10.1.2.3:3000"}, 200),
            ({"Host": "10.1.2.3:3000", "Origin": "http://10.1.2.3:3000"}, 200),
            ({"Host": "[fd00::1]:3000", "Origin": "http://[fd00::1]:3000"}, 200),
            ({"Host": "ironforge:3000", "Origin": "http://ironforge:3000"}, 200),
            ({"Host": "rebound.evil.example:3000", "Origin": "http://rebound.evil.example:3000"}, 403),
            ({"Host": "1.2.3.4.evil.example", "Origin": "http://1.2.3.4.evil.example"}, 403),
            ({"Host": "10.1.2.3:3000", "Origin": "http://evil.example"}, 403),
            ({"Host": "user@10.1.2.3"}, 400),
        ):
            async with session.post(url, headers=headers) as answer:
                assert answer.status == status, headers


@pytest.mark.parametrize(("host", "foreign"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
async def test_probes_of_a_node_keep_to_the_same(host: str, foreign: int, free_port: int) -> None:
    async with (
        probes(host, free_port, problems=list, exposition=lambda: (b"up 1\n", "text/plain")),
        aiohttp.ClientSession(f"http://127.0.0.1:{free_port}") as session,
    ):
        for path, headers, status in (
            *((path, {"Host": "10.244.0.7:3001"}, foreign) for path in ("/livez", "/readyz", "/metrics")),
            *((path, {}, 200) for path in ("/livez", "/readyz", "/metrics")),
            ("/metrics", {"Origin": "http://evil.example"}, 403),
            ("/jobs", {}, 404),
        ):
            async with session.get(path, headers=headers) as answer:
                assert answer.status == status, (path, headers)
                assert answer.headers["Server"] == "ironforge"


@pytest.fixture
def free_port() -> int:

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
