"""Jobs in state waiting, by each door: shown with what they wait for, listed, counted, cancelled, never retried."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ironforge import AsyncClient, InvalidState
from ironforge.errors import WaitTimeout
from ironforge.formats.timestamps import now_ms
from ironforge.steps.waits import ParentRef, Wait
from ironforge.store import StoreClient, Submission
from tests.store.kit import job

HOUR_MS = 3_600_000
SLEEP, EVENT, CHILDREN = "sleep", "event", "children"


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def waits(until_ms: int) -> list[tuple[Wait, dict[str, Any]]]:
    """What a job waits for, and how that is shown."""
    until = moment(until_ms)
    return [
        (
            Wait(SLEEP, "cool-down", until_ms=until_ms),
            {"code": SLEEP, "detail": "it sleeps, step cool-down", "until": until, "step": "cool-down", "event": None},
        ),
        (
            Wait(EVENT, "approval\n7", "approved:42", until_ms),
            {
                "code": EVENT,
                "detail": "it waits for event approved:42",
                "until": until,
                "step": "approval/7",
                "event": "approved:42",
            },
        ),
        (
            Wait(EVENT, "paid", "paid"),
            {"code": EVENT, "detail": "it waits for event paid", "until": None, "step": "paid", "event": "paid"},
        ),
        (
            Wait(CHILDREN, "pack"),
            {
                "code": CHILDREN,
                "detail": "it waits for its children, step pack",
                "until": None,
                "step": "pack",
                "event": None,
            },
        ),
    ]


@pytest.fixture
async def waiting(api: Any, node: Any) -> dict[str, dict[str, Any]]:
    """By its id what a job waits for, as it is shown."""
    shown = {}
    for wait, said in waits(now_ms() + HOUR_MS):
        shown[await api.submit()] = said
        await node.wait(wait)
    return shown


async def test_one_is_shown_with_what_it_waits_for(api: Any, waiting: dict[str, Any]) -> None:
    for job_id, said in waiting.items():
        shown = (await api.call("GET", f"/jobs/{job_id}")).body
        assert (shown["status"], shown["waiting_for"]) == ("waiting", said)
        assert (shown["attempts"], shown["node"], shown["run_at"]) == (0, None, None)


async def test_they_are_listed(api: Any, waiting: dict[str, Any]) -> None:
    await api.submit()
    for query in ("state=waiting", "state=waiting&queue=default&kind=demo.echo"):
        page = (await api.call("GET", f"/jobs?{query}")).body
        assert {one["id"]: one["waiting_for"] for one in page["jobs"]} == waiting
        assert page["next"] is None
    assert (await api.call("GET", "/jobs?state=waiting&queue=other")).body["jobs"] == []
    everything = (await api.call("GET", "/jobs")).body["jobs"]
    assert len(everything) == len(waiting) + 1
    assert sum(one["status"] == "waiting" for one in everything) == len(waiting)


async def test_they_are_listed_page_by_page(api: Any, node: Any) -> None:
    ids = [await api.submit() for _ in range(7)]
    for wait in (
        [Wait(SLEEP, "s", until_ms=now_ms() + HOUR_MS)] * 3 + [Wait(CHILDREN, "c")] * 2 + [Wait(EVENT, "e", "e")] * 2
    ):
        await node.wait(wait)
    found, cursor = [], ""
    while True:
        page = (await api.call("GET", f"/jobs?state=waiting&limit=2{cursor}")).body
        found += [one["id"] for one in page["jobs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(found) == sorted(ids)


async def test_they_are_counted_by_what_they_wait_for(api: Any, waiting: dict[str, Any]) -> None:
    stats = (await api.call("GET", "/queues/stats")).body
    assert stats["waiting"] == {"total": 4, "sleep": 1, "event": 2, "children": 1, "workflow": 0}
    assert (stats["queued"], stats["running"], stats["scheduled"], stats["dlq_depth"]) == (0, 0, 0, 0)


async def test_one_is_cancelled_for_good(api: Any, waiting: dict[str, Any]) -> None:
    for job_id in waiting:
        answer = await api.call("DELETE", f"/jobs/{job_id}")
        assert (answer.status, answer.body["status"], answer.body["waiting_for"]) == (200, "cancelled", None)
        assert (await api.call("GET", f"/jobs/{job_id}")).body["status"] == "cancelled"
    assert (await api.call("GET", "/queues/stats")).body["waiting"]["total"] == 0
    assert (await api.call("GET", "/jobs?state=waiting")).body["jobs"] == []


async def test_one_is_not_retried(api: Any, waiting: dict[str, Any]) -> None:
    for job_id in waiting:
        answer = await api.call("POST", f"/jobs/{job_id}/retry")
        assert (answer.status, answer.code, answer.body["state"]) == (409, "invalid_state", "waiting")
        assert answer.body["detail"] == "the job is waiting: only a dead job can be retried"
        assert (await api.call("GET", f"/jobs/{job_id}")).body["status"] == "waiting"


async def test_a_client_waits_for_the_end_of_one_and_tells_what_it_refuses(api: Any, waiting: dict[str, Any]) -> None:
    job_id = next(iter(waiting))
    async with AsyncClient(api.url) as client:
        with pytest.raises(WaitTimeout):
            await client.wait(job_id, 0.1)
        with pytest.raises(InvalidState, match="the job is waiting"):
            await client.retry(job_id)
        await client.cancel(job_id)
        assert (await client.wait(job_id, 30))["status"] == "cancelled"


async def test_steps_are_shown_when_they_are_asked_for(api: Any, node: Any) -> None:
    job_id = await api.submit()
    delivery = await node.take()
    await node.record(delivery, "charge", b'{"id": 1.10}')
    await node.record(delivery, "pack\n7", b"null")
    until_ms = now_ms() + HOUR_MS
    await node.wait(Wait(SLEEP, "cool-down", until_ms=until_ms), delivery)
    answer = await api.call("GET", f"/jobs/{job_id}?steps=true")
    *steps, sleep = answer.body["steps"]
    recorded = {"kind": "step", "timed_out": False, "until": None, "run": 0}
    times = {"started_at": "1970-01-01T00:00:01.000Z", "ended_at": "1970-01-01T00:00:01.500Z"}
    assert steps == [
        {"name": "charge", "key": None, "result": {"id": 1.1}, **recorded, **times},
        {"name": "pack", "key": "7", "result": None, **recorded, **times},
    ]
    assert sleep == {
        "name": "cool-down",
        "key": None,
        "kind": "wait",
        "result": None,
        "timed_out": False,
        "started_at": sleep["started_at"],
        "ended_at": None,
        "until": moment(until_ms),
        "run": 0,
    }
    assert (await api.call("GET", f"/jobs/{job_id}")).body["steps"] is None
    assert (await api.call("GET", f"/jobs/{await api.submit()}?steps=true")).body["steps"] == []
    for query in ("steps=yes", "steps=", "steps=true&steps=true", "step=true"):
        assert (await api.call("GET", f"/jobs/{job_id}?{query}")).code == "invalid_parameter"


async def test_a_child_says_whose_it_is(api: Any, settings: Any) -> None:
    parent = job()
    child = msgspec.structs.replace(job(), version=2, parent=ParentRef(parent.id, "pack\n7", 3))
    client = StoreClient(settings)
    await client.producer.submit([Submission(child)])
    await client.close()
    shown = (await api.call("GET", f"/jobs/{child.text_id}")).body
    assert shown["parent"] == {"id": parent.text_id, "step": "pack/7", "index": 3}
    assert (await api.call("GET", f"/jobs/{await api.submit()}")).body["parent"] is None
