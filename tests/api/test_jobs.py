from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.job.record import format_id, new_id


async def test_a_submitted_job_can_be_looked_up_where_location_says(api: Any) -> None:
    accepted = await api.call("POST", "/jobs", json={"kind": "email.send", "payload": {"to": "a"}, "priority": "high"})
    found = await api.call("GET", accepted.headers["Location"])

    assert 201 == accepted.status
    assert "queued" == accepted.body["status"]
    assert ("email.send", "high", "default", {"to": "a"}) == tuple(
        found.body[name] for name in ("kind", "priority", "queue", "payload")
    )
    assert [("email.send", "high", 1)] == api.submitted


async def test_the_payload_stays_the_submitters_bytes(api: Any) -> None:
    body = b'{"kind": "demo.echo", "payload":  {"pi": 3.1400, "big": 18446744073709551615, "\\u0061": "\\/"} }'
    accepted = await api.call("POST", "/jobs", data=body, headers={"Content-Type": "application/json"})
    raw = await api.send_raw(
        f"GET /jobs/{accepted.body['id']} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )

    assert b'"payload":{"pi": 3.1400, "big": 18446744073709551615, "\\u0061": "\\/"},' in raw


async def test_every_option_is_kept(api: Any) -> None:
    run_at = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=123_000)
    options = {"queue": "reports", "priority": "low", "max_retries": 0, "timeout_seconds": 1.5, "retain_seconds": 60}
    options |= {"fairness_key": "tenant-7", "fairness_weight": 3}
    job_id = await api.submit(**options, run_at=run_at.isoformat())
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert options == {name: job[name] for name in options}
    assert ("scheduled", run_at) == (job["status"], datetime.fromisoformat(job["run_at"]))
    assert (0, None, [], False) == (job["attempts"], job["finished_at"], job["errors"], job["cancel_requested"])


async def test_null_means_left_out(api: Any) -> None:
    job_id = await api.submit(priority=None, queue=None, max_retries=None, delay_seconds=None, run_at=None)
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert ("medium", "default", None, None) == (job["priority"], job["queue"], job["max_retries"], job["payload"])


async def test_a_completed_job_shows_its_result_and_times(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.complete(b'{"sum": 1.0}')
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert ("completed", {"sum": 1.0}) == (job["status"], job["result"])
    assert job["created_at"] < job["started_at"] < job["finished_at"]


async def test_a_running_job_shows_its_node(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.take()
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert ("running", node.lease.node) == (job["status"], job["node"])


async def test_cancelling_a_queued_job_answers_the_cancelled_job(api: Any) -> None:
    job_id = await api.submit(retain_seconds=60)
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")
    found = await api.call("GET", f"/jobs/{job_id}")

    assert (200, "cancelled") == (cancelled.status, cancelled.body["status"])
    assert "cancelled" == found.body["status"]
    assert cancelled.body["finished_at"] is not None


async def test_cancelling_a_scheduled_job_that_is_not_retained_still_answers_it(api: Any) -> None:
    job_id = await api.submit(delay_seconds=60, retain_seconds=0)
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")

    assert (200, job_id, "cancelled") == (cancelled.status, cancelled.body["id"], cancelled.body["status"])


async def test_cancelling_a_running_job_is_accepted_for_later(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.take()
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")
    found = await api.call("GET", f"/jobs/{job_id}")

    assert (202, "running", True) == (
        cancelled.status,
        cancelled.body["status"],
        cancelled.body["cancel_requested"],
    )
    assert found.body["cancel_requested"] is True


@pytest.mark.parametrize(("body", "attempts"), [(None, 0), ({"reset_retry_count": False}, 1), ({}, 0)])
async def test_a_dead_job_comes_back(api: Any, node: Any, body: Any, attempts: int) -> None:
    job_id = await api.submit()
    await node.bury()
    revived = await api.call("POST", f"/jobs/{job_id}/retry", json=body)

    assert (200, "queued", attempts) == (revived.status, revived.body["status"], revived.body["attempts"])
    assert ["boom"] == [error["message"] for error in revived.body["errors"]]
    assert "queued" == (await api.call("GET", f"/jobs/{job_id}")).body["status"]


async def test_the_dead_letter_lists_jobs_with_their_errors(api: Any, node: Any) -> None:
    job_id = await api.submit(kind="demo.fail")
    await node.bury()
    await api.submit(kind="demo.echo")
    page = (await api.call("GET", "/dlq?kind=demo.fail")).body

    assert [(job_id, "dead", "retries are used up")] == [
        (job["id"], job["status"], job["reason"]) for job in page["jobs"]
    ]
    [error] = page["jobs"][0]["errors"]
    assert (1, "ValueError", "boom", node.lease.node, "trace") == tuple(
        error[name] for name in ("attempt", "type", "message", "node", "trace")
    )
    assert [] == (await api.call("GET", "/dlq?kind=demo.echo")).body["jobs"]


async def test_pages_lead_to_every_job_once(api: Any) -> None:
    expected = {await api.submit() for _ in range(5)}
    found: list[str] = []
    query = "/jobs?limit=2&state=queued"
    cursor = ""
    while True:
        page = (await api.call("GET", query + cursor)).body
        found += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert 5 == len(found)
    assert expected == set(found)


async def test_an_idempotency_key_replays_the_first_answer(api: Any) -> None:
    headers = {"Idempotency-Key": "order 17"}
    first = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": {"a": 1, "b": 2}}, headers=headers)
    again = await api.call("POST", "/jobs", json={"payload": {"b": 2, "a": 1}, "kind": "demo.echo"}, headers=headers)

    assert (201, first.body["id"], "true") == (again.status, again.body["id"], again.headers["Idempotency-Replayed"])
    assert "Idempotency-Replayed" not in first.headers
    assert [("demo.echo", "medium", 1)] == api.submitted
    assert 1 == len((await api.call("GET", "/jobs")).body["jobs"])


async def test_an_idempotency_key_with_another_body_conflicts_without_echo(api: Any) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": "secret"}, headers=headers)
    other = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": "other"}, headers=headers)

    assert (409, "idempotency_conflict", first.body["id"]) == (other.status, other.code, other.body["job_id"])
    assert "secret" not in str(other.body)


async def test_batches_are_accepted_in_each_of_their_forms(api: Any) -> None:
    ndjson = {"Content-Type": "application/x-ndjson"}
    array = await api.call("POST", "/jobs/batch", json=[{"kind": "a"}, {"kind": "b", "priority": "high"}])
    nested = await api.call("POST", "/jobs/batch", json={"jobs": [{"kind": "c"}]})
    lines = await api.call("POST", "/jobs/batch", data=b'{"kind":"d"}\n\n{"kind":"d"}\r\n', headers=ndjson)

    assert [(201, 2), (201, 1), (201, 2)] == [
        (answer.status, answer.body["count"]) for answer in (array, nested, lines)
    ]
    kinds = [
        (await api.call("GET", f"/jobs/{job_id}")).body["kind"]
        for answer in (array, nested, lines)
        for job_id in answer.body["ids"]
    ]
    assert ["a", "b", "c", "d", "d"] == kinds
    assert [("a", "medium", 1), ("b", "high", 1), ("c", "medium", 1), ("d", "medium", 2)] == api.submitted


async def test_a_batch_of_ten_thousand_is_accepted_at_once(api: Any) -> None:
    answer = await api.call("POST", "/jobs/batch", json=[{"kind": "demo.echo", "payload": n} for n in range(10_000)])

    assert (201, 10_000, 10_000) == (answer.status, answer.body["count"], len(set(answer.body["ids"])))
    assert 10_000 == (await api.call("GET", "/queues/stats")).body["queued"]


async def test_a_batch_with_a_key_is_replayed_as_a_whole_or_conflicts(api: Any) -> None:
    headers = {"Idempotency-Key": "batch"}
    jobs = [{"kind": "a"}, {"kind": "b"}]
    first = await api.call("POST", "/jobs/batch", json=jobs, headers=headers)
    again = await api.call("POST", "/jobs/batch", json={"jobs": jobs}, headers=headers)
    shorter = await api.call("POST", "/jobs/batch", json=jobs[:1], headers=headers)

    assert (first.body["ids"], "true") == (again.body["ids"], again.headers["Idempotency-Replayed"])
    assert (409, "idempotency_conflict") == (shorter.status, shorter.code)
    assert 2 == (await api.call("GET", "/queues/stats")).body["queued"]


async def test_a_bad_item_keeps_the_whole_batch_out(api: Any) -> None:
    jobs: list[Any] = [{"kind": "demo.echo"} for _ in range(1_000)]
    jobs[700] = {"kind": "demo.echo", "queue": "a:b"}
    answer = await api.call("POST", "/jobs/batch", json=jobs)

    assert (400, "invalid_queue_name", 700, "queue") == (
        answer.status,
        answer.code,
        answer.body["index"],
        answer.body["field"],
    )
    assert 0 == (await api.call("GET", "/queues/stats")).body["queued"]


async def test_an_unknown_job_is_not_found(api: Any) -> None:
    job_id = format_id(new_id())
    answers = [
        await api.call("GET", f"/jobs/{job_id}"),
        await api.call("DELETE", f"/jobs/{job_id}"),
        await api.call("POST", f"/jobs/{job_id}/retry"),
    ]

    assert [(404, "job_not_found")] * 3 == [(answer.status, answer.code) for answer in answers]


async def test_a_call_that_does_not_fit_the_state_says_the_state(api: Any, node: Any) -> None:
    done = await api.submit()
    await node.complete()
    running = await api.submit()
    await node.take()
    cancel = await api.call("DELETE", f"/jobs/{done}")
    retry = await api.call("POST", f"/jobs/{running}/retry")

    assert (409, "invalid_state", "completed") == (cancel.status, cancel.code, cancel.body["state"])
    assert (409, "invalid_state", "running") == (retry.status, retry.code, retry.body["state"])
