"""The two calls that submit jobs, one or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from aiohttp import web

from ironforge.api.parsing import bodies, requests
from ironforge.api.parsing.batches import read_batch
from ironforge.api.parsing.large_bodies import LARGE_BODIES, to_the_end
from ironforge.api.responses import answer
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import AcceptedBatch, AcceptedJob, NoQuery
from ironforge.job.record import format_id
from ironforge.store.contract import Accepted, Producer, Submission

# kind, priority, number of jobs
OnSubmitted = Callable[[str, int, int], None]


class SubmitCalls:
    """Handlers of `POST /jobs` and `POST /jobs/batch`. `on_submitted` hears of what was accepted."""

    def __init__(self, producer: Producer, on_submitted: OnSubmitted | None) -> None:
        self._producer = producer
        self._on_submitted = on_submitted

    async def submit_job(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        key = requests.read_key(request.headers.getall("Idempotency-Key", ()))
        bodies.media_type(request, bodies.JSON)
        if bodies.is_small(request):
            return await self._accept_job(requests.read_job(await bodies.read(request), key))
        large = request.app[LARGE_BODIES]
        with large.room(request) as room:
            read = partial(requests.read_job, await bodies.read(request, bodies.MAX_BODY_BYTES, room), key)
            return await self._accept_job(await large.in_thread(read))

    async def submit_batch(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        key = requests.read_key(request.headers.getall("Idempotency-Key", ()))
        media_type = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
        if bodies.is_small(request):
            return await self._accept_batch(to_the_end(read_batch(await bodies.read(request), media_type, key)))
        large = request.app[LARGE_BODIES]
        with large.room(request) as room:
            body = await bodies.read(request, bodies.MAX_BATCH_BYTES, room)
            return await self._accept_batch(await large.in_turns(read_batch(body, media_type, key)))

    async def _accept_job(self, submission: Submission) -> web.Response:
        [accepted] = await self._producer.submit([submission])
        self._count([submission], [accepted])
        job, job_id = submission.job, format_id(accepted.id)
        body = AcceptedJob(job_id, accepted.state, job.kind, job.queue, views.label(job.priority))
        return answer(body, 201, Location=f"/jobs/{job_id}", **_replayed(accepted))

    async def _accept_batch(self, batch: list[Submission]) -> web.Response:
        accepted = await self._producer.submit(batch)
        self._count(batch, accepted)
        ids = [format_id(one.id) for one in accepted]
        return answer(AcceptedBatch(ids, len(ids)), 201, **_replayed(accepted[0]))

    def _count(self, batch: list[Submission], accepted: list[Accepted]) -> None:
        if self._on_submitted is None:
            return
        if len(batch) == 1:  # nearly every call, and a Counter costs it 4 us
            if not accepted[0].replayed:
                self._on_submitted(batch[0].job.kind, batch[0].job.priority, 1)
            return
        fresh = Counter(
            (one.job.kind, one.job.priority)
            for one, verdict in zip(batch, accepted, strict=True)
            if not verdict.replayed
        )
        for (kind, priority), count in fresh.items():
            self._on_submitted(kind, priority, count)


def _replayed(accepted: Accepted) -> dict[str, str]:
    return {"Idempotency_Replayed": "true"} if accepted.replayed else {}
