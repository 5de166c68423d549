"""Distributed locks against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ironforge.errors import LockNotHeld, LockTimeout, StoreUnavailable
from ironforge.lock import Locks
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from tests.support.waiting import until

KEY = "if:{default.0}:lock:report"
FENCE_KEY = "if:{default.0}:lockfence:report"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("server")
    with EmbeddedServer(Settings(data_dir=str(folder))) as server:
        yield server.url


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def locks(url: str, redis: Redis) -> AsyncIterator[Locks]:
    locks = Locks(Settings(redis_url=url))
    yield locks
    await locks.close()


async def milliseconds(redis: Redis) -> int:
    """The server's clock, which a lost counter starts again from."""
    seconds, microseconds = await redis.time()
    return seconds * 1000 + microseconds // 1000


async def test_a_lock_is_held_in_its_block_and_free_behind_it(locks, redis):
    async with locks("report", ttl_seconds=30):
        assert 29_000 < await redis.pttl(KEY) <= 30_000
    assert await redis.exists(KEY) == 0


async def test_a_lock_is_free_again_when_its_block_fails(locks, redis):
    with pytest.raises(ZeroDivisionError):
        async with locks("report", ttl_seconds=30):
            raise ZeroDivisionError
    assert await redis.exists(KEY) == 0


async def test_fifty_at_once_are_in_the_block_one_after_the_other_with_rising_fences(locks):
    inside = 0
    fences = []

    async def work() -> None:
        nonlocal inside
        async with locks("report", ttl_seconds=30) as held:
            inside += 1
            assert inside == 1
            fences.append(held.fence)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert len(set(fences)) == 50
    assert fences == sorted(fences)


async def test_locks_of_different_names_and_namespaces_do_not_wait_for_each_other(locks, url):
    others = Locks(Settings(redis_url=url, namespace="other"))
    async with (
        locks("report", ttl_seconds=30),
        locks("invoice", ttl_seconds=30, wait_seconds=0),
        others("report", ttl_seconds=30, wait_seconds=0),
    ):
        pass
    await others.close()


async def test_who_does_not_want_to_wait_is_told_that_the_lock_is_taken(locks):
    async with locks("report", ttl_seconds=30):
        with pytest.raises(LockTimeout, match=r"'report' was not free"):
            await locks("report", ttl_seconds=30, wait_seconds=0).acquire()


async def test_waiting_ends_with_its_time(locks):
    async with locks("report", ttl_seconds=30):
        with pytest.raises(LockTimeout, match=r"for 0\.\d+ s"):
            await locks("report", ttl_seconds=30, wait_seconds=0.05).acquire()


async def test_a_lock_that_ran_out_goes_to_the_next_with_a_higher_fence(locks, redis):
    first = await locks("report", ttl_seconds=30).acquire()
    waiting = asyncio.create_task(locks("report", ttl_seconds=30).acquire())
    await redis.pexpire(KEY, 1)
    second = await waiting
    assert second.fence > first.fence
    with pytest.raises(LockNotHeld, match=r"fence \d+\) is not held any more"):
        await first.release()
    with pytest.raises(LockNotHeld):
        await first.extend()
    await second.release()


async def test_a_late_holder_does_not_free_the_lock_of_the_next(locks, redis):
    late = await locks("report", ttl_seconds=30).acquire()
    await redis.delete(KEY)
    async with locks("report", ttl_seconds=30):
        with pytest.raises(LockNotHeld):
            await late.release()
        assert await redis.exists(KEY) == 1


async def test_a_lock_that_nobody_frees_runs_out_by_itself(locks, redis):
    await locks("report", ttl_seconds=0.05).acquire()

    async def free() -> bool:
        return not await redis.exists(KEY)

    await until(free, "the lock to have run out")


async def test_extend_gives_the_holder_more_time(locks, redis):
    async with locks("report", ttl_seconds=5) as held:
        await held.extend(60)
        assert 59_000 < await redis.pttl(KEY) <= 60_000
        await held.extend()
        assert 4_000 < await redis.pttl(KEY) <= 5_000


async def test_leaving_the_block_says_that_the_lock_had_run_out(locks, redis):
    with pytest.raises(LockNotHeld, match="larger ttl_seconds"):
        async with locks("report", ttl_seconds=30):
            await redis.delete(KEY)


async def test_the_error_of_the_block_is_not_hidden_by_a_lock_that_ran_out(locks, redis):
    async def work() -> None:
        async with locks("report", ttl_seconds=30):
            await redis.delete(KEY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()


async def test_a_block_may_free_its_lock_early(locks, redis):
    async with locks("report", ttl_seconds=30) as held:
        await held.release()
        assert await redis.exists(KEY) == 0


async def test_a_caller_cancelled_while_waiting_never_gets_the_lock(locks, redis):
    async with locks("report", ttl_seconds=30):
        token = await redis.get(KEY)
        waiting = asyncio.create_task(locks("report", ttl_seconds=30).acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await redis.get(KEY) == token
    assert await redis.exists(KEY) == 0


@pytest.mark.parametrize("turns", range(8))
async def test_a_caller_cancelled_at_any_moment_of_its_try_leaves_no_lock(locks, redis, turns):
    taking = asyncio.create_task(locks("report", ttl_seconds=30).acquire())
    for _ in range(turns):
        await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    if not taking.cancelled():
        await taking.result().release()
    assert await redis.exists(KEY) == 0


async def test_nothing_stays_for_ever(locks, redis):
    async with locks("report", ttl_seconds=30):
        assert 6 * 86_400_000 < await redis.pttl(FENCE_KEY) <= 7 * 86_400_000
        assert set(await redis.keys()) == {KEY.encode(), FENCE_KEY.encode()}


async def test_fences_rise_even_when_their_counter_was_lost(locks, redis):
    async with locks("report", ttl_seconds=30) as first:
        pass
    await redis.delete(FENCE_KEY)

    async def later() -> bool:
        return await milliseconds(redis) >= first.fence

    await until(later, "the clock to have passed the first fence")
    async with locks("report", ttl_seconds=30) as second:
        assert second.fence > first.fence


async def test_one_lock_object_is_for_one_block_at_a_time(locks):
    lock = locks("report", ttl_seconds=30)
    async with lock:
        with pytest.raises(RuntimeError, match="one Lock for each block"):
            await lock.__aenter__()


async def test_an_unreachable_server_is_reported_as_such(tmp_path):
    locks = Locks(Settings(redis_url=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(StoreUnavailable):
        await locks("report", ttl_seconds=30).acquire()
    await locks.close()


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 129, "é"])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="lock name"):
        Locks(Settings(redis_url="redis://localhost"))(name, ttl_seconds=1)


@pytest.mark.parametrize("ttl_seconds", [0, -1, 0.0001, 86_401, float("nan"), float("inf")])
def test_a_bad_time_limit_is_refused(ttl_seconds):
    with pytest.raises(ValueError, match="ttl_seconds"):
        Locks(Settings(redis_url="redis://localhost"))("report", ttl_seconds=ttl_seconds)


async def test_times_may_be_given_as_durations(locks, redis):
    async with locks("report", ttl_seconds=timedelta(seconds=30)) as held:
        await held.extend(timedelta(minutes=5))
        assert 290_000 < await redis.pttl(KEY) <= 300_000
        with pytest.raises(LockTimeout):
            await locks("report", ttl_seconds=30, wait_seconds=timedelta(milliseconds=10)).acquire()
