"""Group commit over HTTP: single POSTs that come together reach the server in few script calls."""

from __future__ import annotations

import asyncio
from typing import Any

import redis

from ironforge.settings import Settings
from tests.support.servers import valkey

CALLERS = 64


async def test_concurrent_single_posts_share_script_calls_and_each_is_answered_for_its_own_job(start_api: Any) -> None:
    with valkey() as url, redis.Redis.from_url(url) as raw:
        api = await start_api(Settings(redis_url=url))
        await api.submit()
        raw.config_resetstat()
        raw.client_pause(60_000, all=False)  # writes wait: all requests are there before the first is answered
        served = api.server.requests_count
        calls = [asyncio.create_task(api.submit(payload=number)) for number in range(CALLERS)]
        await api.until(lambda: api.server.requests_count == served + CALLERS)
        raw.client_unpause()
        ids = await asyncio.gather(*calls)

        scripts = raw.info("commandstats")["cmdstat_evalsha"]["calls"]
        shown = [await api.call("GET", f"/jobs/{one}") for one in ids]

    assert list(range(CALLERS)) == [answer.body["payload"] for answer in shown]
    # One that left at once, one for those that came meanwhile, and a sample of the totals or two.
    assert scripts <= 6
