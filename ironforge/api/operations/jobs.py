"""The calls on jobs: look up, list, cancel, revive; and on the queues that they wait in.

Handlers only translate: every decision about a job is taken in the store, in one atomic step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from ironforge.api.operations.audit_details import QUEUE
from ironforge.api.parsing import bodies, requests, strict_json
from ironforge.api.parsing.cursors import Cursors
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import (
    DeadQuery,
    JobAnswer,
    JobsQuery,
    NoQuery,
    QueueAnswer,
    RetryRequest,
)
from ironforge.errors import InvalidState
from ironforge.formats.timestamps import now_ms
from ironforge.job.options import check_queue
from ironforge.job.record import JobState
from ironforge.store.contract import Inspector, JobView, Page, Producer

_retry_decoder: Final = msgspec.json.Decoder(RetryRequest)


class JobCalls:
    """Handlers of /jobs but submission, of /dlq and /queues/{queue}.

    `may_read` False: what a job carries is not shown to who cancels or revives it. `queues`: the only ones that the
    caller may use; None: all.
    """

    def __init__(
        self,
        producer: Producer,
        inspector: Inspector,
        cursors: Cursors,
        *,
        may_read: bool = True,
        queues: Sequence[str] | None = None,
    ) -> None:
        self._producer = producer
        self._inspector = inspector
        self._cursors = cursors
        self._may_read = may_read
        self._queues = queues

    async def get_job(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        view = await self._inspector.get(requests.read_id(request.match_info["id"]))
        return answer(views.job_answer(view))

    async def list_jobs(self, request: web.Request) -> web.Response:
        query = requests.read_query(request.query, JobsQuery)
        state = None if query.state is msgspec.UNSET else query.state
        return answer(views.job_page(await self._page(query, state)))

    async def list_dead_jobs(self, request: web.Request) -> web.Response:
        query = requests.read_query(request.query, DeadQuery)
        return answer(views.job_page(await self._page(query, JobState.DEAD)))

    async def cancel_job(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        job_id = requests.read_id(request.match_info["id"])
        # Looked up before: a job that is not retained cannot be shown any more once it is cancelled.
        view = await self._inspector.get(job_id)
        request[QUEUE] = view.job.queue
        state = await self._producer.cancel(job_id)
        if state is JobState.RUNNING:
            return answer(self._shown(view._replace(state=state, cancel_requested=True)), 202)
        cancelled = view.job.finish(state, now_ms())
        return answer(self._shown(JobView(cancelled, state)))

    async def retry_job(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        job_id = requests.read_id(request.match_info["id"])
        reset = await self._reset_retry_count(request)
        view = await self._inspector.get(job_id)
        state, request[QUEUE] = view.state, view.job.queue
        if state is not JobState.DEAD:
            # Reviving would refuse it too, but only looking can tell running from queued.
            raise InvalidState(f"the job is {state}: only a dead job can be revived", state=state)
        job = await self._producer.revive(job_id, reset_retry_count=reset)
        return answer(self._shown(JobView(job, JobState.QUEUED)))

    async def pause_queue(self, request: web.Request) -> web.Response:
        return await self._set_paused(request, paused=True)

    async def resume_queue(self, request: web.Request) -> web.Response:
        return await self._set_paused(request, paused=False)

    async def _set_paused(self, request: web.Request, *, paused: bool) -> web.Response:
        requests.read_query(request.query, NoQuery)
        queue = request[QUEUE] = check_queue(request.match_info["queue"])
        await self._producer.set_paused(queue, paused=paused)
        return answer(QueueAnswer(queue, paused))

    def _shown(self, view: JobView) -> JobAnswer:
        return views.job_answer(view) if self._may_read else views.bare_job_answer(view)

    async def _reset_retry_count(self, request: web.Request) -> bool:
        if not request.body_exists:
            return RetryRequest().reset_retry_count
        body = await bodies.read(request)
        strict_json.canonical(body)
        return requests.decode(_retry_decoder, body).reset_retry_count

    async def _page(self, query: DeadQuery, state: JobState | None) -> Page:
        purpose = ("jobs", self._queues, state, query.kind, query.queue)
        try:
            page = await self._inspector.jobs(
                state=state,
                kind=query.kind,
                queue=query.queue,
                limit=query.limit,
                cursor=self._cursors.open(query.cursor, *purpose),
            )
            return page._replace(cursor=self._cursors.seal(page.cursor, *purpose))
        except ValueError as error:
            raise ApiProblem(400, "invalid_parameter", f"cursor: {error}", field="cursor") from None
