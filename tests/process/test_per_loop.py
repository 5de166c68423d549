"""What connects by itself is used on one event loop after the other, on several at once, and in forked children.

Every test runs with warnings as errors, so a connection that was left open, or a loop that was closed under one, shows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import uvloop

from ironforge import AsyncClient, Client, Forge
from ironforge.errors import ConfigError, StoreUnavailable
from ironforge.job.record import parse_id
from ironforge.lock import Locks
from ironforge.process.per_loop import PerLoop
from ironforge.settings import Settings
from tests.cli.kit import Service
from tests.support.servers import valkey
from tests.support.waiting import eventually, until

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Use = Callable[[], Coroutine[Any, Any, None]]
KEY = "if:{default.0}:lock:report"


def by_hand(make: Callable[[], asyncio.AbstractEventLoop], *, tell: bool) -> Run:
    """As programs did before `asyncio.run`. Without `tell` nobody tells what is connected that the loop ends; uvloop
    itself would warn of that."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        loop = make()
        try:
            return loop.run_until_complete(work)
        finally:
            if tell:
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run


RUNS = {
    "asyncio": asyncio.run,
    "uvloop": uvloop.run,
    "asyncio by hand": by_hand(asyncio.new_event_loop, tell=False),
    "uvloop by hand": by_hand(uvloop.new_event_loop, tell=True),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with valkey() as url, Service("api", "--port", "0", redis_url=url) as service:
        yield json.loads(service.logged("api is listening"))["url"]


@pytest.fixture
def server(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        client.client_setname("test")
        yield client
    gc.collect()


@pytest.fixture(params=["forge", "locks", "client"])
def use(request: pytest.FixtureRequest, url: str) -> Use:
    settings = Settings(redis_url=url)
    if request.param == "forge":
        forge = Forge(settings)

        async def work() -> None:
            parse_id(await forge.submit("demo.echo"))

    elif request.param == "locks":
        locks = Locks(settings)

        async def work() -> None:
            async with locks("report", ttl_seconds=60):
                pass

    else:
        client = AsyncClient(request.getfixturevalue("api"))

        async def work() -> None:
            await asyncio.gather(*(client.submit("demo.echo") for _ in range(3)))

    return work


def strangers(server: redis.Redis) -> int:
    """Connections beside the test's own; the API has a server of its own."""
    return sum(1 for one in server.client_list() if one["name"] != "test")


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_one_loop_after_the_other(server: redis.Redis, use: Use, run: Run) -> None:
    run(use())
    before = strangers(server)
    for _ in range(3):
        run(use())
    eventually(lambda: strangers(server) <= before, "the connections of ended loops to end")


def test_a_loop_that_ends_closes_what_was_connected_on_it(server: redis.Redis, url: str) -> None:
    before = strangers(server)
    forge, locks = Forge(Settings(redis_url=url)), Locks(Settings(redis_url=url))

    async def work() -> None:
        await forge.submit("demo.echo")
        async with locks("report", ttl_seconds=60):
            assert strangers(server) > before

    asyncio.run(work())
    eventually(lambda: strangers(server) == before, "the connections to end")


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_threads_with_loops_of_their_own_at_the_same_time(server: redis.Redis, use: Use, run: Run) -> None:
    together = threading.Barrier(4)

    async def work() -> None:
        await use()
        await asyncio.to_thread(together.wait)
        await use()

    with ThreadPoolExecutor(4) as pool:
        assert [done.result() for done in [pool.submit(run, work()) for _ in range(4)]] == [None] * 4


def test_a_second_loop_while_the_first_one_waits(server: redis.Redis, use: Use) -> None:
    async def first() -> None:
        await use()
        await asyncio.to_thread(asyncio.run, use())
        await use()

    asyncio.run(first())


def test_closing_is_for_the_running_loop_and_a_later_call_connects_again(server: redis.Redis, url: str) -> None:
    forge = Forge(Settings(redis_url=url))

    async def closing() -> None:
        await forge.submit("demo.echo")
        await asyncio.gather(forge.close(), forge.close())
        await forge.submit("demo.echo")

    async def first() -> None:
        await forge.submit("demo.echo")
        connected = strangers(server)
        await asyncio.to_thread(asyncio.run, closing())
        await until(lambda: strangers(server) == connected, "the connection of the other loop to end")
        await forge.submit("demo.echo")

    asyncio.run(first())


def test_what_is_dropped_without_being_closed_is_closed(server: redis.Redis, url: str) -> None:
    async def work() -> None:
        before = strangers(server)
        forge = Forge(Settings(redis_url=url))
        await forge.submit("demo.echo")
        del forge
        await until(lambda: strangers(server) == before, "the connection to end")

    asyncio.run(work())


def test_a_lock_of_a_loop_that_ended_is_released_on_another(server: redis.Redis, url: str) -> None:
    locks = Locks(Settings(redis_url=url))
    held = asyncio.run(locks("report", ttl_seconds=60).acquire())
    assert server.exists(KEY) == 1
    asyncio.run(held.extend())
    asyncio.run(held.release())
    assert server.exists(KEY) == 0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_lock_that_was_asked_for_as_the_loop_ended_does_not_stay_taken(
    server: redis.Redis, url: str, run: Run
) -> None:
    locks = Locks(Settings(redis_url=url))

    async def asking() -> asyncio.Task[Any]:
        trying = asyncio.create_task(locks("report", ttl_seconds=60).acquire())
        await until(lambda: [one for one in server.client_list() if one["cmd"].startswith("eval")], "the question")
        return trying

    server.client_pause(300, all=False)
    run(asking())
    assert server.exists(KEY) == 0


def test_a_lock_whose_answer_was_lost_does_not_stay_taken(server: redis.Redis, url: str) -> None:
    locks = Locks(Settings(redis_url=url))
    server.client_pause(2_500, all=False)  # longer than one question may take, shorter than two
    with pytest.raises(StoreUnavailable, match="the server is silent"):
        asyncio.run(locks("report", ttl_seconds=60).acquire())
    assert server.exists(KEY) == 0


def in_a_child(work: Callable[[], object]) -> bool:
    """Whether `work` went well in a forked child."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_forked_child_begins_anew_and_leaves_its_parent_alone(server: redis.Redis, api: str, url: str) -> None:
    forge = Forge(Settings(redis_url=url))
    with Client(api) as client, Client(api) as closed:
        closed.close()
        client.submit("demo.echo")
        for _ in range(2):
            assert in_a_child(lambda: client.submit("demo.echo"))
            assert in_a_child(lambda: asyncio.run(forge.submit("demo.echo")))
            client.submit("demo.echo")

    async def with_a_loop() -> None:
        await forge.submit("demo.echo")
        assert in_a_child(lambda: asyncio.run(forge.submit("demo.echo")))
        await forge.submit("demo.echo")

    asyncio.run(with_a_loop())


async def test_the_plain_client_works_inside_of_a_running_loop_and_in_many_threads(api: str) -> None:
    with Client(api) as client:
        client.submit("demo.echo")
        threads = (asyncio.to_thread(client.submit, "demo.echo") for _ in range(8))
        assert len({answer["id"] for answer in await asyncio.gather(*threads)}) == 8


def test_a_maker_that_fails_leaves_nothing_behind() -> None:
    class Unmade:
        async def close(self) -> None:
            raise AssertionError

    def make() -> Unmade:
        raise ConfigError("no server")

    made: PerLoop[Unmade] = PerLoop(make, lambda _: None)

    async def work() -> None:
        with pytest.raises(ConfigError):
            await made.here()
        await made.close()

    asyncio.run(work())
