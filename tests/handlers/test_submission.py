"""Submission from Python straight to a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ironforge import Unique
from ironforge.errors import IdempotencyConflict, InvalidPayload
from ironforge.handlers.forge import Forge
from ironforge.job.record import JobState, format_id, new_id, parse_id
from ironforge.settings import Settings
from ironforge.store import StoreClient


@pytest.fixture
async def forge(settings: Settings) -> AsyncIterator[Forge]:
    async with Forge(settings) as made:

        @made.job("email.send", priority="high", max_retries=7)
        async def send(to: str) -> None: ...

        yield made


@pytest.fixture
async def store_client(settings: Settings) -> AsyncIterator[StoreClient]:
    opened = StoreClient(settings)
    yield opened
    await opened.close()


async def test_a_submitted_job_is_queued_with_the_options_of_its_kind(forge, store_client):
    job_id = await forge.submit("email.send", {"to": "ada"})
    view = await store_client.inspector.get(parse_id(job_id))
    assert view.state == JobState.QUEUED
    assert view.job.kind == "email.send"
    assert view.job.payload == b'{"to":"ada"}'
    assert view.job.priority == 1
    assert view.job.max_retries is None  # the node asks the kind


async def test_a_delayed_job_is_scheduled(forge, store_client):
    job_id = await forge.submit("email.send", {"to": "ada"}, delay_seconds=60)
    assert (await store_client.inspector.get(parse_id(job_id))).state is JobState.SCHEDULED


async def test_many_jobs_are_accepted_in_their_order(forge, store_client):
    prepared = forge.prepare("email.send", {"to": "grace"}, priority="low")
    ids = await forge.submit_many("email.send", [{"to": "ada"}, prepared, {"to": "alan"}])
    views = [await store_client.inspector.get(parse_id(job_id)) for job_id in ids]
    assert [view.job.payload for view in views] == [b'{"to":"ada"}', b'{"to":"grace"}', b'{"to":"alan"}']
    assert [view.job.priority for view in views] == [1, 3, 1]


async def test_of_many_jobs_it_says_which_were_there_already(forge: Forge) -> None:
    first = await forge.submit("email.send", {"to": "ada"}, unique=Unique("ada"))
    other, same = (forge.prepare("email.send", {"to": name}, unique=Unique(name)) for name in ("alan", "ada"))
    ids = await forge.submit_many("email.send", [other, same, {"to": "grace"}])
    assert ids.deduplicated == [1]
    assert ids[1] == first


async def test_one_wrong_payload_stores_nothing(forge, store_client):
    with pytest.raises(InvalidPayload):
        await forge.submit_many("email.send", [{"to": "ada"}, {"too": "ada"}])
    assert await forge.submit_many("email.send", []) == []
    assert (await store_client.inspector.jobs()).jobs == []


async def test_repeating_a_submission_by_its_id_stores_it_once(forge, store_client):
    job_id = format_id(new_id())
    for _ in range(2):
        assert await forge.submit("email.send", {"to": "ada"}, id=job_id) == job_id
    assert len((await store_client.inspector.jobs()).jobs) == 1


async def test_repeating_a_prepared_job_with_an_id_of_its_own_stores_it_once(forge, store_client):
    job_id = format_id(new_id())
    prepared = forge.prepare("email.send", {"to": "ada"}, id=job_id)
    for _ in range(2):
        assert await forge.submit_many("email.send", [prepared]) == [job_id]
    assert len((await store_client.inspector.jobs()).jobs) == 1


async def test_an_idempotency_key_answers_with_the_first_job(forge):
    first = await forge.submit("email.send", {"to": "ada"}, idempotency_key="welcome-ada")
    assert await forge.submit("email.send", {"to": "ada"}, idempotency_key="welcome-ada") == first
    with pytest.raises(IdempotencyConflict) as caught:
        await forge.submit("email.send", {"to": "grace"}, idempotency_key="welcome-ada")
    assert caught.value.job_id == first


async def test_a_closed_forge_connects_again(forge):
    await forge.submit("email.send", {"to": "ada"})
    await forge.close()
    assert await forge.submit("email.send", {"to": "ada"})
