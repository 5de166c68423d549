"""The keys of an issuer: fetched, fetched again, and kept while the issuer answers nonsense."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from ironforge.auth.jwks import OLDEST_SECONDS, REFRESH_SECONDS, Jwks
from tests.auth.kit import Clock
from tests.auth.test_tokens import OTHER_RSA, RSA, jwk


class Site:
    """An issuer's key server, with what it gives out and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk(RSA, "one")]
        self.answer: web.Response | None = None
        self.asked = 0
        self.url = ""

    async def handle(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return self.answer if self.answer is not None else web.json_response({"keys": self.keys})


@pytest.fixture
async def site() -> Any:
    site = Site()
    app = web.Application()
    app.router.add_get("/keys", site.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield site
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def jwks(site: Site, clock: Clock) -> Any:
    jwks = Jwks(site.url, clock=clock)
    yield jwks
    await jwks.close()


async def test_keys_are_fetched_once_and_again_for_a_new_one_but_not_often(
    jwks: Jwks, site: Site, clock: Clock
) -> None:
    assert await jwks.key("one")
    assert await jwks.key("one")
    assert site.asked == 1

    site.keys = [jwk(OTHER_RSA, "two")]
    for number in range(100):
        assert await jwks.key(f"invented{number}") is None
    assert await jwks.key("two") is None
    assert site.asked == 1
    clock.now += REFRESH_SECONDS
    assert await jwks.key("two")
    assert await jwks.key("one") is None
    assert site.asked == 2


async def test_a_withdrawn_key_stops_to_count(jwks: Jwks, site: Site, clock: Clock) -> None:
    assert await jwks.key("one")
    site.keys = [jwk(OTHER_RSA, "two")]
    clock.now += OLDEST_SECONDS - 1
    assert await jwks.key("one")
    clock.now += 1

    assert await jwks.key("one") is None


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "/keys"}),
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text='{"keys": {}}'),
        web.Response(text='{"keys": [{"kty": "RSA"}, 7, {"kty": "oct", "k": "AAAA"}]}'),
        web.Response(body=b" " * 300_000),
        web.Response(body=b"[" * 100_000),
    ],
    ids=lambda answer: f"{answer.status}-{(answer.body or b'')[:20]!r}",
)
async def test_while_an_issuer_answers_nonsense_its_old_keys_count(
    jwks: Jwks, site: Site, clock: Clock, answer: web.Response
) -> None:
    assert await jwks.key("one")
    site.answer = answer
    clock.now += OLDEST_SECONDS

    assert await jwks.key("one")
    assert site.asked == 2
