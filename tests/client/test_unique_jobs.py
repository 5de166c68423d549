"""What callers in Python learn of jobs that hold a unique key."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.client.client import AsyncClient

JOB: dict[str, Any] = {"kind": "demo.echo", "unique": {"key": "a"}, "delay_seconds": 60}


async def test_a_job_says_whether_it_was_there_already(api: Any) -> None:
    async with AsyncClient(api.url) as client:
        answers = [await client.submit(**JOB) for _ in range(2)]

    assert [answer["deduplicated"] for answer in answers] == [False, True]


async def test_of_many_jobs_the_ids_say_it_also_when_they_travel_in_chunks(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironforge.client.payloads.CHUNK_JOBS", 2)
    async with AsyncClient(api.url) as client:
        first = await client.submit(**JOB)
        ids = await client.submit_many([{"kind": "demo.echo"}, JOB, {"kind": "demo.echo"}, JOB])

    assert ids.deduplicated == [1, 3]
    assert [ids[at] for at in ids.deduplicated] == [first["id"]] * 2
