"""Middleware for submissions: sees every call, may change or refuse it, outermost first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import ConfigError, Forge, InvalidJob, InvalidPayload, Settings, Unique
from ironforge.job.record import Job, parse_id
from ironforge.middleware import CallNextSubmission, SubmissionCall
from ironforge.store import StoreClient


@pytest.fixture
async def forge(settings: Settings) -> AsyncIterator[Forge]:
    async with Forge(settings) as made:

        @made.job("email.send", priority="high")
        async def send(to: str) -> None: ...

        yield made


class Stored:
    """What lies in the store."""

    def __init__(self, client: StoreClient) -> None:
        self._inspector = client.inspector

    async def job(self, job_id: str) -> Job:
        return (await self._inspector.get(parse_id(job_id))).job

    async def count(self) -> int:
        return len((await self._inspector.jobs()).jobs)


@pytest.fixture
async def stored(settings: Settings) -> AsyncIterator[Stored]:
    client = StoreClient(settings)
    yield Stored(client)
    await client.close()


async def test_the_first_registered_is_the_outermost(forge: Forge):
    seen: list[Any] = []

    def layer(name: str) -> None:
        @forge.submission_middleware
        async def around(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
            seen.append(f"{name} in")
            ids = await call_next()
            seen.append(f"{name} out")
            return ids

    layer("a")
    layer("b")
    await forge.submit("email.send", {"to": "ada"})
    assert seen == ["a in", "b in", "b out", "a out"]


async def test_it_sees_the_kind_the_payloads_and_the_options_of_each_call(forge: Forge):
    seen: list[SubmissionCall] = []

    @forge.submission_middleware
    async def watch(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        seen.append(call)
        return await call_next()

    prepared = forge.prepare("email.send", {"to": "grace"})
    await forge.submit("email.send", {"to": "ada"}, queue="mail", idempotency_key="once")
    await forge.submit_many("email.send", iter([{"to": "alan"}, prepared]), delay_seconds=5)
    assert seen[0] == SubmissionCall("email.send", [{"to": "ada"}], {"queue": "mail", "idempotency_key": "once"})
    assert seen[1] == SubmissionCall("email.send", [{"to": "alan"}, prepared], {"delay_seconds": 5})


async def test_a_handler_is_seen_as_its_kind(forge: Forge):
    @forge.job("other")
    async def other() -> None: ...

    @forge.submission_middleware
    async def watch(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        assert call.kind == "other"
        return await call_next()

    assert await forge.submit(other)


async def test_what_it_changes_is_what_is_stored(forge: Forge, stored: Stored):
    @forge.submission_middleware
    async def reroute(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        call.kind = "email.queue"
        call.payloads[0] = {**call.payloads[0], "trace": "t-1"}
        call.options["queue"] = "mail"
        return await call_next()

    job = await stored.job(await forge.submit("email.send", {"to": "ada"}))
    assert job.kind == "email.queue"
    assert job.payload == b'{"to":"ada","trace":"t-1"}'
    assert job.queue == "mail"


async def test_the_ids_say_which_jobs_were_there_already(forge: Forge):
    @forge.submission_middleware
    async def watch(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        return await call_next()

    ids = await forge.submit_many("email.send", [{"to": "ada"}] * 2, unique=Unique("ada"))
    assert ids.deduplicated == [1]


async def test_ids_that_it_makes_anew_say_nothing_of_that(forge: Forge):
    @forge.submission_middleware
    async def copy(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        return list(await call_next())

    ids = await forge.submit_many("email.send", [{"to": "ada"}] * 2, unique=Unique("ada"))
    assert ids.deduplicated == []


async def test_raising_refuses_the_submission(forge: Forge, stored: Stored):
    @forge.submission_middleware
    async def refuse(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        raise PermissionError("not today")

    with pytest.raises(PermissionError, match="not today"):
        await forge.submit("email.send", {"to": "ada"})
    with pytest.raises(PermissionError, match="not today"):
        await forge.submit_many("email.send", [{"to": "ada"}])
    assert await stored.count() == 0


async def test_what_it_changes_is_checked_as_any_submission_is(forge: Forge, stored: Stored):
    changes: list[dict[str, Any]] = [{"priority": "urgent"}, {"quue": "mail"}, {"idempotency_key": "for all"}]

    @forge.submission_middleware
    async def spoil(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        call.options |= changes.pop(0) if changes else {}
        call.payloads[0] = call.payloads[0] if changes else {"too": "ada"}
        return await call_next()

    with pytest.raises(InvalidJob, match="urgent"):
        await forge.submit("email.send", {"to": "ada"})
    with pytest.raises(TypeError, match="did you mean 'queue'"):
        await forge.submit("email.send", {"to": "ada"})
    with pytest.raises(TypeError, match="a batch takes no option 'idempotency_key'"):
        await forge.submit_many("email.send", [{"to": "ada"}])
    with pytest.raises(InvalidPayload, match="too"):
        await forge.submit("email.send", {"to": "ada"})
    assert await stored.count() == 0


@pytest.mark.parametrize("answer", [None, [], ["id", "another"], "id"])
async def test_an_answer_without_an_id_for_each_payload_is_refused(forge: Forge, answer: Any):
    @forge.submission_middleware
    async def forgetful(call: SubmissionCall, call_next: CallNextSubmission) -> Any:
        return answer

    with pytest.raises(ConfigError, match="must return an id for each payload"):
        await forge.submit("email.send", {"to": "ada"})


async def test_it_may_answer_itself(forge: Forge, stored: Stored):
    @forge.submission_middleware
    async def pretend(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        return ["pretended"] * len(call.payloads)

    assert await forge.submit("email.send", {"to": "ada"}) == "pretended"
    assert await stored.count() == 0


async def test_a_repeated_submission_is_still_one(forge: Forge):
    @forge.submission_middleware
    async def watch(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        await call_next()
        return await call_next()

    job_id = "01a20cb5-64a0-7717-88ee-385134209657"
    assert await forge.submit("email.send", {"to": "ada"}, id=job_id) == job_id


def test_code_without_a_loop_passes_it_too(settings: Settings):
    forge, seen = Forge(settings), []

    @forge.submission_middleware
    async def watch(call: SubmissionCall, call_next: CallNextSubmission) -> list[str]:
        seen.append(call.kind)
        return await call_next()

    for _ in range(2):
        asyncio.run(forge.submit("email.send", {"to": "ada"}))
    assert seen == ["email.send", "email.send"]


def test_what_is_no_middleware_is_said_when_it_is_registered():
    def plain(call: Any, call_next: Any) -> None: ...

    with pytest.raises(ConfigError, match=r"plain must be `async def`, taking \(call, call_next\)"):
        Forge().submission_middleware(plain)


def test_a_node_that_runs_takes_no_more_of_it():
    forge = Forge()
    forge.freeze()
    with pytest.raises(ConfigError, match="a running node takes no more registrations"):
        forge.submission_middleware(test_a_repeated_submission_is_still_one)
