from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from ironforge import errors
from ironforge.client.client import ApiError, ApiUnreachable, AsyncClient, Client, WaitTimeout
from ironforge.job.record import format_id, new_id


@pytest.fixture
async def client(api: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api.url) as client:
        yield client


async def test_submits_with_every_option_and_looks_up(client: AsyncClient) -> None:
    accepted = await client.submit(
        "report.build",
        {"month": 3},
        priority="low",
        queue="reports",
        max_retries=1,
        timeout_seconds=2.5,
        run_at=datetime.now(UTC) + timedelta(hours=1),
        retain_seconds=10,
        fairness_key="tenant-7",
        fairness_weight=3,
    )
    job = await client.get(accepted["id"])

    assert job["fairness_key"] == "tenant-7"
    assert job["fairness_weight"] == 3
    assert job["status"] == "scheduled"
    assert job["priority"] == "low"
    assert job["queue"] == "reports"
    assert job["max_retries"] == 1
    assert job["timeout_seconds"] == 2.5
    assert job["retain_seconds"] == 10
    assert job["payload"] == {"month": 3}


async def test_durations_may_be_given_as_such(client: AsyncClient) -> None:
    hour = timedelta(hours=1)
    accepted = await client.submit("demo.echo", timeout_seconds=hour, delay_seconds=hour, retain_seconds=hour)
    [other] = await client.submit_many([{"kind": "demo.echo", "delay_seconds": hour}])
    jobs = [await client.get(job_id) for job_id in (accepted["id"], other)]

    assert jobs[0]["timeout_seconds"] == 3600
    assert jobs[0]["retain_seconds"] == 3600
    assert [job["status"] for job in jobs] == ["scheduled", "scheduled"]
    with pytest.raises(WaitTimeout, match=r"within 0\.05 s"):
        await client.wait(other, timeout_seconds=timedelta(milliseconds=50))


async def test_many_jobs_travel_in_chunks_and_keep_their_order(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironforge.client.payloads.CHUNK_JOBS", 3)
    ids = await client.submit_many({"kind": "demo.echo", "payload": n, "priority": "high"} for n in range(7))

    assert [(await client.get(job_id))["payload"] for job_id in ids] == list(range(7))
    assert (await client.stats())["queued"] == 7


async def test_chunks_stay_below_the_size_that_the_api_accepts(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironforge.client.payloads.CHUNK_BYTES", 100)
    ids = await client.submit_many({"kind": "demo.echo", "payload": "x" * n} for n in (10, 90, 10, 10))

    assert [len((await client.get(job_id))["payload"]) for job_id in ids] == [10, 90, 10, 10]


async def test_no_jobs_are_no_request(client: AsyncClient) -> None:
    assert await client.submit_many([]) == []


async def test_a_value_that_json_cannot_carry_is_refused_before_any_request() -> None:
    client = AsyncClient("http://127.0.0.1:1")  # nobody listens there
    with pytest.raises(errors.SerializationError, match="callback") as caught:
        client.submit("demo.echo", {"callback": print})
    with pytest.raises(errors.SerializationError, match="job 1") as in_batch:
        client.submit_many([{"kind": "a"}, {"kind": "a", "payload": [print]}])

    assert caught.value.field == "payload.callback"
    assert in_batch.value.field == "[1].payload[0]"


async def test_refusals_are_the_errors_of_the_library(client: AsyncClient, node: Any) -> None:
    with pytest.raises(errors.JobNotFound):
        await client.get(format_id(new_id()))
    with pytest.raises(errors.InvalidJob, match="urgent") as invalid:
        await client.submit("demo.echo", priority="urgent")
    with pytest.raises(errors.InvalidJob, match="job 1") as in_batch:
        await client.submit_many([{"kind": "a"}, {"kind": "a", "colour": 1}])
    with pytest.raises(errors.InvalidJob, match="not a job id"):
        await client.get("../health")
    first = await client.submit("demo.echo", 1, idempotency_key="k")
    with pytest.raises(errors.IdempotencyConflict) as conflict:
        await client.submit("demo.echo", 2, idempotency_key="k")
    with pytest.raises(errors.InvalidState) as state:
        await client.retry(first["id"])

    assert invalid.value.status == 400
    assert invalid.value.code == "invalid_priority"
    assert invalid.value.field == "priority"
    assert in_batch.value.code == "unknown_field"
    assert in_batch.value.index == 1
    assert conflict.value.job_id == first["id"]
    assert state.value.state == "queued"


async def test_cancel_retry_and_the_dead_letter(client: AsyncClient, node: Any) -> None:
    dead = (await client.submit("demo.fail"))["id"]
    await node.bury()
    cancelled = (await client.submit("demo.echo"))["id"]

    assert [job["id"] for job in (await client.dlq(kind="demo.fail"))["jobs"]] == [dead]
    assert (await client.cancel(cancelled))["status"] == "cancelled"
    revived = await client.retry(dead, reset_retry_count=False)
    assert revived["status"] == "queued"
    assert revived["attempts"] == 1


async def test_iterates_over_every_page(client: AsyncClient) -> None:
    ids = await client.submit_many({"kind": "demo.echo"} for _ in range(5))

    assert {job["id"] async for job in client.iter_jobs(state="queued", limit=2)} == set(ids)
    assert len((await client.jobs(limit=2))["jobs"]) == 2


async def test_waits_until_a_job_has_ended(client: AsyncClient, node: Any) -> None:
    job_id = (await client.submit("demo.echo"))["id"]
    waiting = asyncio.create_task(client.wait(job_id, timeout_seconds=10))
    await node.complete(b'"done"')

    job = await waiting

    assert job["status"] == "completed"
    assert job["result"] == "done"


async def test_waiting_has_an_end(client: AsyncClient) -> None:
    job_id = (await client.submit("demo.echo"))["id"]

    with pytest.raises(WaitTimeout, match=f"^job {job_id} has not ended"):
        await client.wait(job_id, timeout_seconds=0.05)


async def test_shows_nodes_and_health(client: AsyncClient, node: Any) -> None:
    assert [one["name"] for one in (await client.nodes())["nodes"]] == [node.lease.node]
    assert (await client.health())["store"]["version"]


async def test_pauses_and_resumes_a_queue(client: AsyncClient) -> None:
    assert await client.pause_queue("mail") == {"queue": "mail", "paused": True}
    assert (await client.stats())["paused"] == ["mail"]
    assert await client.resume_queue("mail") == {"queue": "mail", "paused": False}
    assert (await client.stats())["paused"] == []
    with pytest.raises(errors.InvalidJob, match="not a name"):
        client.pause_queue("../jobs")


def test_the_plain_client_makes_the_same_calls_from_any_thread(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        job_id = client.submit("demo.echo", {"a": 1})["id"]
        ids = client.submit_many([{"kind": "demo.echo"}, {"kind": "demo.echo"}])

        assert client.get(job_id)["payload"] == {"a": 1}
        assert client.pause_queue("mail")["paused"] is True
        assert client.resume_queue("mail")["paused"] is False
        assert {job["id"] for job in client.iter_jobs(limit=1)} == {job_id, *ids}
        with pytest.raises(errors.JobNotFound):
            client.cancel(format_id(new_id()))
    client.close()
    with pytest.raises(errors.IronForgeError, match="closed"):
        client.stats()


async def test_nobody_there_is_said_with_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with AsyncClient(f"http://127.0.0.1:{port}", retries=0) as client:
        with pytest.raises(ApiUnreachable, match=rf"http://127.0.0.1:{port} \(IRONFORGE_URL.*: nobody listens there "):
            await client.stats()


class Proxy:
    """A real server in front: it spoils the first answers as told, then passes requests on to the API."""

    def __init__(self, spoil: list[Any], target: str) -> None:
        self.keys: list[str | None] = []
        self._spoil = spoil
        self._target = target

    async def handle(self, request: web.Request) -> web.StreamResponse:
        import aiohttp

        self.keys.append(request.headers.get("Idempotency-Key"))
        headers = {
            name: request.headers[name] for name in ("Content-Type", "Idempotency-Key") if name in request.headers
        }
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self._target + request.path, data=await request.read(), headers=headers
            ) as passed,
        ):
            content = await passed.read()
        if self._spoil and (status := self._spoil.pop(0)) is not None:
            if status == 0:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=status or 500, text="<html>bad gateway</html>", headers={"Retry-After": "0"})
        return web.Response(status=passed.status, body=content, headers={"Content-Type": "application/json"})


@pytest.fixture
async def behind_proxy(api: Any, request: pytest.FixtureRequest) -> Any:
    proxy = Proxy(list(request.param), api.url)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with AsyncClient(f"http://127.0.0.1:{runner.addresses[0][1]}", retries=2) as client:
        yield proxy, client
    await runner.cleanup()


@pytest.mark.parametrize("behind_proxy", [(0,), (502, 503)], indirect=True, ids=["lost answer", "gateway errors"])
async def test_a_submission_whose_answer_got_lost_is_repeated_but_stored_once(behind_proxy: Any, api: Any) -> None:
    proxy, client = behind_proxy
    accepted = await client.submit("demo.echo")

    assert len(proxy.keys) > 1
    assert len(set(proxy.keys)) == 1
    assert [job["id"] for job in (await api.call("GET", "/jobs")).body["jobs"]] == [accepted["id"]]


@pytest.mark.parametrize("behind_proxy", [(504, 504, 504)], indirect=True)
async def test_repeating_has_an_end_and_says_what_came_back(behind_proxy: Any) -> None:
    _proxy, client = behind_proxy
    with pytest.raises(ApiError, match="bad gateway") as caught:
        await client.stats()

    assert caught.value.status == 504
    assert caught.value.code == "http_504"


@pytest.mark.parametrize("behind_proxy", [(418,)], indirect=True)
async def test_another_refusal_is_not_repeated(behind_proxy: Any) -> None:
    proxy, client = behind_proxy
    with pytest.raises(ApiError):
        await client.stats()

    assert len(proxy.keys) == 1


@pytest.mark.parametrize("behind_proxy", [(200,)], indirect=True)
async def test_a_url_that_leads_elsewhere_is_noticed(behind_proxy: Any) -> None:
    _proxy, client = behind_proxy
    with pytest.raises(ApiError, match="does the URL lead to IronForge"):
        await client.stats()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirection_is_not_followed_so_neither_job_nor_key_go_elsewhere(api: Any, status: int) -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"{api.url}/jobs?token=hush"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with AsyncClient(f"http://127.0.0.1:{runner.addresses[0][1]}", api_key="ifk_secret") as client:
        for call in (client.submit("demo.echo", "secret"), client.jobs(), client.submit_many([{"kind": "demo.echo"}])):
            with pytest.raises(ApiError, match=f"redirection to '{api.url}/jobs', which is not followed") as caught:
                await call
            assert status == caught.value.status
            assert caught.value.code == "redirected"
    await runner.cleanup()
    assert (await api.call("GET", "/jobs")).body["jobs"] == []
