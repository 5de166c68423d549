"""Unique keys over HTTP, from Python and by a kind: what a second submission is told, and which ones make no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironforge import AsyncClient, ConfigError, Duplicate, Forge, InvalidJob, Unique
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.options import JobOptions, at_door
from tests.api.conftest import Api


def job(**unique: Any) -> dict[str, Any]:
    return {"kind": "k", "payload": 1, "unique": {"key": "a", **unique}}


async def test_a_second_job_is_answered_with_the_first(api: Api) -> None:
    first = await api.call("POST", "/jobs", json=job())
    second = await api.call("POST", "/jobs", json=job())
    assert first.status == 201
    assert first.body["deduplicated"] is False
    assert second.status == 200
    assert second.body == {**first.body, "deduplicated": True}
    assert second.headers["Location"] == f"/jobs/{first.body['id']}"


async def test_a_rejected_job_is_told_of_the_first(api: Api) -> None:
    first = await api.call("POST", "/jobs", json=job(on_conflict="reject"))
    second = await api.call("POST", "/jobs", json=job(on_conflict="reject"))
    assert second.status == 409
    assert second.code == "duplicate"
    assert second.body["job_id"] == first.body["id"]


async def test_a_batch_says_which_of_its_jobs_were_there(api: Api) -> None:
    first = await api.call("POST", "/jobs", json=job())
    other = {"kind": "k"}
    answer = await api.call("POST", "/jobs/batch", json=[other, job(), job(key="b"), job(key="b")])
    ids = answer.body["ids"]
    assert answer.status == 201
    assert answer.body["deduplicated"] == [1, 3]
    assert ids[1] == first.body["id"]
    assert ids[3] == ids[2]


async def test_a_batch_is_told_which_of_its_jobs_was_refused_and_nothing_of_it_is_stored(api: Api) -> None:
    first = await api.call("POST", "/jobs", json=job())
    jobs = [job(key="b"), job(key="c"), job(on_conflict="reject"), job(on_conflict="reject")]
    lines = "\n".join(map(json.dumps, jobs))
    as_lines = {"data": lines, "headers": {"Content-Type": "application/x-ndjson"}}
    for body in ({"json": jobs}, {"json": jobs, "headers": {"Idempotency-Key": "i"}}, as_lines):
        answer = await api.call("POST", "/jobs/batch", **body)
        told = {name: answer.body[name] for name in ("status", "code", "job_id", "index")}
        assert told == {"status": 409, "code": "duplicate", "job_id": first.body["id"], "index": 2}
    alone = await api.call("POST", "/jobs", json=job(on_conflict="reject"))
    assert "index" not in alone.body
    assert len((await api.call("GET", "/jobs")).body["jobs"]) == 1


async def test_the_client_and_the_forge_say_which_of_many_was_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironforge.client.payloads.CHUNK_JOBS", 2)
    async with AsyncClient(api.url) as client:
        await client.submit("k", 1, unique=Unique("a"))
        with pytest.raises(Duplicate) as caught:
            await client.submit_many([job(key="b"), job(key="c"), job(key="d"), job(on_conflict="reject")])
    assert caught.value.index == 3
    async with Forge(api.settings) as forge:
        prepared = forge.prepare("k", 1, unique=Unique("a", on_conflict="reject"))
        with pytest.raises(Duplicate) as caught:
            await forge.submit_many("other", [1, 2, prepared])
        assert caught.value.index == 2
        with pytest.raises(InvalidJob) as invalid:
            await forge.submit_many("other", [1, object()])
        assert invalid.value.index == 1


async def test_a_repetition_repeats_that_the_job_was_there(api: Api) -> None:
    await api.call("POST", "/jobs", json=job())
    key = {"Idempotency-Key": "i"}
    first, again = [await api.call("POST", "/jobs", json=job(), headers=key) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_job_shows_its_unique_key(api: Api) -> None:
    first = await api.call("POST", "/jobs", json=job(on_conflict="replace"))
    shown = await api.call("GET", f"/jobs/{first.body['id']}")
    assert shown.body["unique"] == {"key": "a", "while": "unfinished", "on_conflict": "replace"}


async def test_the_client_takes_and_raises_the_same(api: Api) -> None:
    async with AsyncClient(api.url) as client:
        first = await client.submit("k", 1, unique=Unique("a", on_conflict="reject"))
        with pytest.raises(Duplicate) as caught:
            await client.submit("k", 1, unique=Unique("a", on_conflict="reject"))
    assert caught.value.job_id == first["id"]


def by_path(path: str) -> CheckedOptions:
    return JobOptions().checked(at_door(JobOptions(unique=Unique(path))))


def test_a_kind_takes_the_key_from_the_payload() -> None:
    unique = by_path("customer.id").job("k", b'{"customer":{"id":42}}').unique
    assert unique is not None
    assert unique.key == "42"


@pytest.mark.parametrize("payload", [b"{}", b"1", b'{"customer":1}', b'{"customer":{"id":null}}'])
def test_a_payload_without_the_key_of_its_kind_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidJob, match=r"no text or number at customer\.id"):
        by_path("customer.id").job("k", payload)


def test_a_submission_says_its_key_instead_of_the_kind() -> None:
    defaults = at_door(JobOptions(unique=Unique("customer.id")))
    unique = JobOptions(unique=Unique("own")).checked(defaults).job("k", b"{}").unique
    assert unique is not None
    assert unique.key == "own"


def test_a_kind_that_contradicts_itself_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ConfigError, match="max_wait_seconds"):
        Forge().job("k", unique=Unique("id", max_wait_seconds=5))
