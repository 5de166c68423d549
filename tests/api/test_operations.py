from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from ironforge import __version__
from ironforge.api import create_app, serve
from ironforge.api.rates import WINDOW_MS, Rates
from ironforge.errors import ConfigError
from ironforge.metrics.queue_depths import Reading
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.counts import Totals


async def test_stats_count_jobs_where_they_are(api: Any, node: Any) -> None:
    await api.submit(priority="high")
    await node.take()
    await api.submit(priority="high")
    await api.submit(queue="reports", delay_seconds=60)
    await api.submit(kind="demo.fail", priority="critical")
    await node.bury()
    stats = (await api.call("GET", "/queues/stats")).body

    assert stats["queued"] == 1
    assert stats["running"] == 1
    assert stats["scheduled"] == 1
    assert stats["dlq_depth"] == 1
    assert [
        (stream["queued"], stream["running"])
        for stream in stats["queues"]
        if (stream["queue"], stream["priority"]) == ("default", "high")
    ] == [(1, 1)]
    assert stats["oldest_age_seconds"] >= 0
    assert stats["totals"]["submitted"] == 4
    assert stats["totals"]["dead"] == 1


async def test_a_paused_queue_is_shown_until_it_is_resumed_also_without_a_job(api: Any) -> None:
    for queue in ("reports", "default", "reports"):
        answer = await api.call("POST", f"/queues/{queue}/pause")
        assert answer.status == 200
        assert answer.body == {"queue": queue, "paused": True}
    assert (await api.call("GET", "/queues/stats")).body["paused"] == ["default", "reports"]
    assert (await api.call("POST", "/jobs", json={"kind": "demo.echo"})).status == 201
    for queue in ("reports", "reports", "never"):
        answer = await api.call("POST", f"/queues/{queue}/resume")
        assert answer.status == 200
        assert answer.body == {"queue": queue, "paused": False}
    assert (await api.call("GET", "/queues/stats")).body["paused"] == ["default"]


@pytest.mark.parametrize("name", ["a:b", "q" * 200, "a%00b", "%2e%2e%2f", "a%2Fb"])
async def test_what_is_no_name_of_a_queue_is_not_paused(api: Any, name: str) -> None:
    answer = await api.call("POST", f"/queues/{name}/pause")
    assert answer.status == 400
    assert answer.code == "invalid_queue_name"
    assert answer.body["field"] == "queue"
    assert (await api.call("GET", "/queues/stats")).body["paused"] == []


async def test_a_path_with_braces_leads_nowhere_and_pauses_nothing(api: Any) -> None:
    assert (await api.call("POST", "/queues/%7Bx%7D/pause")).status == 404
    assert (await api.call("GET", "/queues/stats")).body["paused"] == []


def stats_at(seconds: float, **totals: int) -> Totals:
    return Totals(totals, int(seconds * 1000))


def test_rates_are_unknown_without_a_past() -> None:
    assert Rates().until(stats_at(5, submitted=1)) is None


def test_rates_count_from_the_oldest_sample_of_the_last_minute() -> None:
    rates = Rates()
    for seconds, submitted in ((0, 0), (30, 300), (90, 360)):
        rates.add(stats_at(seconds, submitted=submitted))

    assert WINDOW_MS == 60_000
    assert rates.until(stats_at(90, submitted=420, dead=6)) == {"submitted": 2.0, "dead": 0.1}


def test_rates_never_fall_below_zero_when_totals_start_again() -> None:
    rates = Rates()
    rates.add(stats_at(0, submitted=100))

    assert rates.until(stats_at(10, submitted=0)) == {"submitted": 0.0}


async def test_nodes_are_listed_with_their_lease(api: Any, node: Any) -> None:
    [listed] = (await api.call("GET", "/nodes")).body["nodes"]

    assert listed["name"] == node.lease.node
    assert 0 < listed["lease_seconds_left"] <= api.settings.lease_seconds
    assert listed["queues"] == list(api.settings.queues)
    assert listed["concurrency"] == api.settings.concurrency
    assert listed["version"] == __version__
    assert abs(datetime.fromisoformat(listed["since"]).timestamp() - time.time()) < 60


async def test_nodes_are_listed_with_what_they_run(api: Any, node: Any) -> None:
    job = await api.submit(kind="demo.echo")
    await node.take()
    [listed] = (await api.call("GET", "/nodes")).body["nodes"]
    [running] = listed["jobs"]
    started = datetime.fromisoformat(running.pop("started_at")).timestamp()
    assert running == {"id": job, "kind": "demo.echo", "queue": "default"}
    assert listed["running"] == 1
    assert abs(started - time.time()) < 60


async def test_counts_are_read_once_a_second_however_many_ask(api: Any) -> None:
    raw = redis.Redis.from_url(api.settings.redis_url)

    def calls() -> int:
        return raw.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]

    for path in ("/queues/stats", "/nodes"):
        begun, before = time.monotonic(), calls()
        answers = await asyncio.gather(*(api.call("GET", path) for _ in range(100)))
        assert {answer.status for answer in answers} == {200}
        # Counts, kinds, and those again for the submissions.
        assert calls() - before <= 3 * (1 + (time.monotonic() - begun) // 1)
    raw.close()


async def test_health_shows_the_store_and_its_durability(api: Any) -> None:
    answer = await api.call("GET", "/health")

    assert answer.status == 200
    assert answer.body["store"]["durability"] == "relaxed"
    assert answer.body["store"]["server"].lower() == "valkey"
    assert answer.body["status"] == ("ok" if not answer.body["problems"] else "degraded")


async def test_liveness_says_the_lag_of_the_loop(api: Any) -> None:
    answer = await api.call("GET", "/livez")

    assert answer.status == 200
    assert answer.body["status"] == "ok"
    assert 0 <= answer.body["loop_lag_seconds"] < 5


async def test_readiness_follows_the_process(api: Any) -> None:
    ready = await api.call("GET", "/readyz")
    api.not_ready.append("draining")
    draining = await api.call("GET", "/readyz")

    assert ready.status == 200
    assert ready.body["problems"] == []
    assert draining.status == 503
    assert draining.body["problems"] == ["draining"]


async def test_metrics_come_as_the_process_exposes_them(api: Any) -> None:
    answer = await api.call("GET", "/metrics")

    assert answer.body == b"up 1\n"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_head_is_answered_like_get_without_a_body(api: Any) -> None:
    answer = await api.call("HEAD", "/openapi.json")

    assert answer.status == 200
    assert answer.body == b""


@pytest.fixture
async def orphan(start_api: Any, tmp_path: Path) -> Any:
    """An API whose store is away, and which exposes no metrics."""
    return await start_api(Settings(redis_url=f"unix://{tmp_path}/nobody.sock"))


async def test_without_its_store_the_api_says_so_and_when_to_come_back(orphan: Any) -> None:
    submitted = await orphan.call("POST", "/jobs", json={"kind": "demo.echo"})
    stats = await orphan.call("GET", "/queues/stats")

    for answer in (submitted, stats):
        assert answer.status == 503
        assert answer.code == "storage_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1


async def test_without_its_store_the_api_lives_but_is_neither_ready_nor_healthy(orphan: Any) -> None:
    answers = [await orphan.call("GET", path) for path in ("/livez", "/readyz", "/health")]

    assert [(answer.status, answer.body["status"]) for answer in answers] == [
        (200, "ok"),
        (503, "not ready"),
        (503, "unavailable"),
    ]
    assert all(answer.body["problems"] for answer in answers[1:])


async def test_a_process_without_metrics_says_so(orphan: Any) -> None:
    answer = await orphan.call("GET", "/metrics")

    assert answer.status == 404
    assert answer.code == "metrics_not_available"


async def test_a_fault_of_ours_is_a_problem_without_its_traceback(start_api: Any, settings: Settings) -> None:
    def exposition(_reading: Reading | None) -> tuple[bytes, str]:
        raise LookupError("the password is hunter2")

    api = await start_api(settings, exposition=exposition)
    answer = await api.call("GET", "/metrics")

    assert answer.status == 500
    assert answer.code == "internal_error"
    assert answer.body["request_id"] in answer.body["detail"]
    assert "hunter2" not in str(answer.body)


async def test_a_full_server_is_a_503_with_its_own_code(api: Any, redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as admin:
        admin.config_set("maxmemory", "1mb")
        try:
            answer = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": "x" * 100_000})
        finally:
            admin.config_set("maxmemory", "0")

    assert answer.status == 503
    assert answer.code == "storage_full"
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.invalid"])
async def test_a_public_address_is_refused_without_authentication(settings: Settings, host: str) -> None:
    store_client = StoreClient(settings)
    app = create_app(settings, store_client)

    with pytest.raises(ConfigError, match="--i-understand-no-auth"):
        await serve(app, host, 0)


async def test_a_public_address_is_served_when_that_is_wanted(settings: Settings) -> None:
    store_client = StoreClient(settings)
    runner = await serve(
        create_app(settings, store_client),
        "0.0.0.0",
        0,
        allow_public=True,
    )

    assert runner.addresses
    await runner.cleanup()
    await store_client.close()


@pytest.mark.parametrize(
    ("host", "says"), [("127.0.0.1", r"port \d+ on 127.0.0.1 is in use"), ("203.0.113.1", "cannot listen on 203")]
)
async def test_an_address_that_cannot_be_had_is_a_clear_error(settings: Settings, host: str, says: str) -> None:
    store_client = StoreClient(settings)
    app = create_app(settings, store_client)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=says):
        await serve(app, host, taken.getsockname()[1], allow_public=True)
    await store_client.close()


async def test_requests_are_told_by_route_and_never_by_path(settings: Settings, start_api: Any) -> None:
    told: list[tuple[str, str, int]] = []
    api = await start_api(
        settings, on_answered=lambda route, method, status, _seconds: told.append((route, method, status))
    )
    await api.submit()
    await api.call("GET", "/jobs/0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50")
    await api.call("POST", "/queues/mine/pause")
    await api.call("GET", "/no/such/path")
    await api.call("DELETE", "/jobs")
    await api.call("PATCH", "/jobs")
    assert told == [
        ("/jobs", "POST", 201),
        ("/jobs/{id}", "GET", 404),
        ("/queues/{queue}/pause", "POST", 200),
        ("unknown", "unknown", 404),
        ("unknown", "unknown", 405),
        ("unknown", "unknown", 405),
    ]
