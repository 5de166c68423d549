"""Processes that fire ticks are killed, their connections cut and their scripts forgotten: each tick starts one job."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest
import redis

from ironforge.job.record import created_ms_of
from ironforge.job.request import JobRequest
from ironforge.redis.keys import Keys
from ironforge.schedules.definition import CatchUp, Schedule
from ironforge.settings import load
from ironforge.store import StoreClient
from tests.cli.kit import Service
from tests.support.servers import valkey
from tests.support.waiting import until

NAMES = [f"report-{number}" for number in range(20)]


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_each_tick_starts_one_job_whatever_happens_to_those_that_fire_it(tmp_path: Path) -> None:
    with valkey() as url, redis.Redis.from_url(url) as raw:
        settings = load({}, redis_url=url)
        keys, store_client = Keys(settings.namespace), StoreClient(settings)
        job = JobRequest(kind="k", payload=msgspec.Raw(b"null"))
        every_second = Schedule(job=job, every_seconds=1.0, overlap="allow", catch_up=CatchUp("all", 600.0))

        def started() -> int:
            return int(raw.hget(keys.totals, "ticks_started") or 0)

        def api() -> Service:
            return Service("api", "--port", "0", cwd=tmp_path, redis_url=url)

        with api() as first:
            for name in NAMES:
                await store_client.schedules.put(name, every_second)
            await until(lambda: started() > 2 * len(NAMES), "ticks")
            with api() as second, api():
                for killed in (first, second):
                    before = started()
                    raw.client_kill_filter(_type="normal", skipme=True)
                    raw.script_flush()
                    killed.logged("listening")
                    killed.signal(signal.SIGKILL)
                    await until(
                        lambda before=before: started() > before + 3 * len(NAMES), "ticks by those that are left"
                    )
                for name in NAMES:
                    await store_client.schedules.pause(name)
                times: dict[str, list[int]] = {}
                for name in NAMES:
                    past = await store_client.schedules.history(name)
                    rows = [row for row in past if row.outcome == "started"]
                    times[name] = sorted(row.at_ms for row in rows)
                    assert times[name] == list(range(times[name][0], times[name][-1] + 1, 1000))
                    assert {created_ms_of(row.job_id or b"") for row in rows} == set(times[name])
                    assert min(row.late_ms for row in rows) >= 0
        assert raw.hlen(keys.index) == started()
        assert sum(map(len, times.values())) == started()
        await store_client.close()
