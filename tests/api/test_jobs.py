from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.job.record import format_id, new_id


async def test_a_submitted_job_can_be_looked_up_where_location_says(api: Any) -> None:
    accepted = await api.call("POST", "/jobs", json={"kind": "email.send", "payload": {"to": "a"}, "priority": "high"})
    found = await api.call("GET", accepted.headers["Location"])

    assert accepted.status == 201
    assert accepted.body["status"] == "queued"
    assert found.body["kind"] == "email.send"
    assert found.body["priority"] == "high"
    assert found.body["queue"] == "default"
    assert found.body["payload"] == {"to": "a"}
    assert api.submitted == [("email.send", "high", 1)]


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

    assert {name: job[name] for name in options} == options
    assert job["status"] == "scheduled"
    assert datetime.fromisoformat(job["run_at"]) == run_at
    assert job["attempts"] == 0
    assert job["finished_at"] is None
    assert job["errors"] == []
    assert job["cancel_requested"] is False


async def test_null_means_left_out(api: Any) -> None:
    job_id = await api.submit(priority=None, queue=None, max_retries=None, delay_seconds=None, run_at=None)
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert job["priority"] == "medium"
    assert job["queue"] == "default"
    assert job["max_retries"] is None
    assert job["payload"] is None


async def test_a_completed_job_shows_its_result_and_times(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.complete(b'{"sum": 1.0}')
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert job["status"] == "completed"
    assert job["result"] == {"sum": 1.0}
    assert job["created_at"] < job["started_at"] < job["finished_at"]


async def test_a_running_job_shows_its_node(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.take()
    job = (await api.call("GET", f"/jobs/{job_id}")).body

    assert job["status"] == "running"
    assert job["node"] == node.lease.node


async def test_cancelling_a_queued_job_answers_the_cancelled_job(api: Any) -> None:
    job_id = await api.submit(retain_seconds=60)
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")
    found = await api.call("GET", f"/jobs/{job_id}")

    assert cancelled.status == 200
    assert cancelled.body["status"] == "cancelled"
    assert found.body["status"] == "cancelled"
    assert cancelled.body["finished_at"] is not None


async def test_cancelling_a_scheduled_job_that_is_not_retained_still_answers_it(api: Any) -> None:
    job_id = await api.submit(delay_seconds=60, retain_seconds=0)
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")

    assert cancelled.status == 200
    assert cancelled.body["id"] == job_id
    assert cancelled.body["status"] == "cancelled"


async def test_cancelling_a_running_job_is_accepted_for_later(api: Any, node: Any) -> None:
    job_id = await api.submit()
    await node.take()
    cancelled = await api.call("DELETE", f"/jobs/{job_id}")
    found = await api.call("GET", f"/jobs/{job_id}")

    assert cancelled.status == 202
    assert cancelled.body["status"] == "running"
    assert cancelled.body["cancel_requested"] is True
    assert found.body["cancel_requested"] is True


@pytest.mark.parametrize(("body", "attempts"), [(None, 0), ({"reset_retry_count": False}, 1), ({}, 0)])
async def test_a_dead_job_comes_back(api: Any, node: Any, body: Any, attempts: int) -> None:
    job_id = await api.submit()
    await node.bury()
    revived = await api.call("POST", f"/jobs/{job_id}/retry", json=body)

    assert revived.status == 200
    assert revived.body["status"] == "queued"
    assert revived.body["attempts"] == attempts
    assert [error["message"] for error in revived.body["errors"]] == ["boom"]
    assert (await api.call("GET", f"/jobs/{job_id}")).body["status"] == "queued"


async def test_the_dead_letter_lists_jobs_with_their_errors(api: Any, node: Any) -> None:
    job_id = await api.submit(kind="demo.fail")
    await node.bury()
    await api.submit(kind="demo.echo")
    page = (await api.call("GET", "/dlq?kind=demo.fail")).body

    assert [(job["id"], job["status"], job["reason"]) for job in page["jobs"]] == [
        (job_id, "dead", "retries are used up")
    ]
    [error] = page["jobs"][0]["errors"]
    assert error["attempt"] == 1
    assert error["type"] == "ValueError"
    assert error["message"] == "boom"
    assert error["node"] == node.lease.node
    assert error["trace"] == "trace"
    assert (await api.call("GET", "/dlq?kind=demo.echo")).body["jobs"] == []


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

    assert len(found) == 5
    assert set(found) == expected


async def test_an_idempotency_key_replays_the_first_answer(api: Any) -> None:
    headers = {"Idempotency-Key": "order 17"}
    first = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": {"a": 1, "b": 2}}, headers=headers)
    again = await api.call("POST", "/jobs", json={"payload": {"b": 2, "a": 1}, "kind": "demo.echo"}, headers=headers)

    assert again.status == 201
    assert again.body["id"] == first.body["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert api.submitted == [("demo.echo", "medium", 1)]
    assert len((await api.call("GET", "/jobs")).body["jobs"]) == 1


async def test_an_idempotency_key_with_another_body_conflicts_without_echo(api: Any) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": "secret"}, headers=headers)
    other = await api.call("POST", "/jobs", json={"kind": "demo.echo", "payload": "other"}, headers=headers)

    assert other.status == 409
    assert other.code == "idempotency_conflict"
    assert other.body["job_id"] == first.body["id"]
    assert "secret" not in str(other.body)


async def test_batches_are_accepted_in_each_of_their_forms(api: Any) -> None:
    ndjson = {"Content-Type": "application/x-ndjson"}
    array = await api.call("POST", "/jobs/batch", json=[{"kind": "a"}, {"kind": "b", "priority": "high"}])
    nested = await api.call("POST", "/jobs/batch", json={"jobs": [{"kind": "c"}]})
    lines = await api.call("POST", "/jobs/batch", data=b'{"kind":"d"}\n\n{"kind":"d"}\r\n', headers=ndjson)

    assert [(answer.status, answer.body["count"]) for answer in (array, nested, lines)] == [
        (201, 2),
        (201, 1),
        (201, 2),
    ]
    kinds = [
        (await api.call("GET", f"/jobs/{job_id}")).body["kind"]
        for answer in (array, nested, lines)
        for job_id in answer.body["ids"]
    ]
    assert kinds == ["a", "b", "c", "d", "d"]
    assert api.submitted == [("a", "medium", 1), ("b", "high", 1), ("c", "medium", 1), ("d", "medium", 2)]


async def test_a_batch_of_ten_thousand_is_accepted_at_once(api: Any) -> None:
    answer = await api.call("POST", "/jobs/batch", json=[{"kind": "demo.echo", "payload": n} for n in range(10_000)])

    assert answer.status == 201
    assert answer.body["count"] == 10_000
    assert len(set(answer.body["ids"])) == 10_000
    assert (await api.call("GET", "/queues/stats")).body["queued"] == 10_000


async def test_a_batch_with_a_key_is_replayed_as_a_whole_or_conflicts(api: Any) -> None:
    headers = {"Idempotency-Key": "batch"}
    jobs = [{"kind": "a"}, {"kind": "b"}]
    first = await api.call("POST", "/jobs/batch", json=jobs, headers=headers)
    again = await api.call("POST", "/jobs/batch", json={"jobs": jobs}, headers=headers)
    shorter = await api.call("POST", "/jobs/batch", json=jobs[:1], headers=headers)

    assert again.body["ids"] == first.body["ids"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert shorter.status == 409
    assert shorter.code == "idempotency_conflict"
    assert (await api.call("GET", "/queues/stats")).body["queued"] == 2


async def test_a_bad_item_keeps_the_whole_batch_out(api: Any) -> None:
    jobs: list[Any] = [{"kind": "demo.echo"} for _ in range(1_000)]
    jobs[700] = {"kind": "demo.echo", "queue": "a:b"}
    answer = await api.call("POST", "/jobs/batch", json=jobs)

    assert answer.status == 400
    assert answer.code == "invalid_queue_name"
    assert answer.body["index"] == 700
    assert answer.body["field"] == "queue"
    assert (await api.call("GET", "/queues/stats")).body["queued"] == 0


async def test_an_unknown_job_is_not_found(api: Any) -> None:
    job_id = format_id(new_id())
    answers = [
        await api.call("GET", f"/jobs/{job_id}"),
        await api.call("DELETE", f"/jobs/{job_id}"),
        await api.call("POST", f"/jobs/{job_id}/retry"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "job_not_found")] * 3


async def test_a_call_that_does_not_fit_the_state_says_the_state(api: Any, node: Any) -> None:
    done = await api.submit()
    await node.complete()
    running = await api.submit()
    await node.take()
    cancel = await api.call("DELETE", f"/jobs/{done}")
    retry = await api.call("POST", f"/jobs/{running}/retry")

    assert cancel.status == 409
    assert cancel.code == "invalid_state"
    assert cancel.body["state"] == "completed"
    assert retry.status == 409
    assert retry.code == "invalid_state"
    assert retry.body["state"] == "running"


async def test_a_caller_of_http_1_0_gets_its_answer_and_the_end_of_the_connection(api: Any) -> None:
    body = b'{"kind":"demo.echo"}'
    head = b"POST /jobs HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answer = await api.send_raw(head % len(body) + body)

    assert answer.startswith(b"HTTP/1.0 201 Created\r\n")
    assert b"Connection" not in answer


async def test_a_caller_that_ends_its_connection_is_told_that_it_ends(api: Any) -> None:
    answer = await api.send_raw(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert b"Connection: close\r\n" in answer
