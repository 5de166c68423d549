"""The Python client of the HTTP API, for asyncio and for plain code.

Every call is written once, as a coroutine: AsyncClient hands it to the caller, Client runs it to its end on an
event loop in a thread of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Self, TypeVar, Unpack

import msgspec

from ironforge.client.limit_calls import JSON, Answer
from ironforge.client.payloads import chunks_of, job_body, lines_of
from ironforge.client.polling import until_ended
from ironforge.client.refusals import refused
from ironforge.client.requests import id_path, keyed, new_key
from ironforge.client.transport import ApiError, ApiUnreachable, Json, Transport, member
from ironforge.client.workflow_calls import WorkflowCalls
from ironforge.errors import Duplicate, InvalidJob, WaitTimeout
from ironforge.formats.duration import Duration, seconds_of
from ironforge.job.checks import check_kind, check_queue
from ironforge.job.json_values import encode
from ironforge.job.options import JobKeywords, check_names
from ironforge.job.uniqueness import JobIds
from ironforge.logs.unknown_kinds import UnknownKinds
from ironforge.process.loop_thread import LoopThread

__all__ = ["ApiError", "ApiUnreachable", "AsyncClient", "Client", "WaitTimeout"]

ENDED: Final = frozenset({"completed", "cancelled", "dead"})

Ids = TypeVar("Ids")

_NDJSON: Final = {"Content-Type": "application/x-ndjson"}


class _OperatorCalls(WorkflowCalls[Answer], Generic[Answer, Ids]):
    """The calls about queues and the installation, whatever way they are run.

    `url` and `api_key` None: the settings IRONFORGE_URL, IRONFORGE_API_KEY.

    Every call raises ApiError (refused) or ApiUnreachable (nobody answered), both IronForgeError. A refusal is also
    a JobNotFound, InvalidState, IdempotencyConflict, InvalidJob, QueueFull or StoreUnavailable, where that says what
    happened.
    """

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_seconds: Duration = 10.0, retries: int = 3
    ) -> None:
        self._http = Transport(url, seconds_of(timeout_seconds), retries, api_key)
        self._unknown = UnknownKinds()

    def _ids(self, work: Coroutine[Any, Any, JobIds]) -> Ids:
        raise NotImplementedError

    def stats(self) -> Answer:
        """Depths, totals and rates of the queues."""
        return self._answer(self._http.call("GET", "/queues/stats"))

    def pause_queue(self, queue: str) -> Answer:
        """`{"queue", "paused"}`: nodes take no job of it any more. What they hold runs to its end."""
        return self._answer(self._http.call("POST", f"/queues/{check_queue(queue)}/pause"))

    def resume_queue(self, queue: str) -> Answer:
        """`{"queue", "paused"}`: nodes take its jobs again."""
        return self._answer(self._http.call("POST", f"/queues/{check_queue(queue)}/resume"))

    def nodes(self) -> Answer:
        """The nodes that hold a lease."""
        return self._answer(self._http.call("GET", "/nodes"))

    def kinds(self, **query: str | int | None) -> Answer:
        """One page, `{"kinds", "next"}`, of the kinds that nodes announced; limit, cursor."""
        return self._answer(self._http.call("GET", "/kinds", query=query))

    def kind(self, kind: str) -> Answer:
        """A kind: its versions with their defaults and schemas, and the nodes that run them. Raises KindNotFound."""
        return self._answer(self._http.call("GET", f"/kinds/{check_kind(kind)}"))

    def release_kind(self, kind: str, version: str) -> Answer:
        """`{"kind", "version", "released", "more"}`: any version of the application goes on with jobs that wait for a
        node of the one that began them. `more`: there may be others, for another call. Raises KindNotFound."""
        body = encode({"version": version}, "body")
        return self._answer(self._http.call("POST", f"/kinds/{check_kind(kind)}/release", body=body, headers=JSON))

    def health(self) -> Answer:
        """The state of the store; an unavailable one is an answer here, not an error."""
        return self._answer(self._http.call("GET", "/health", expected=(200, 503)))


class _Calls(_OperatorCalls[Answer, Ids]):
    """And those about jobs."""

    def submit(
        self,
        kind: str,
        payload: object = None,
        *,
        idempotency_key: str | None = None,
        **given: Unpack[JobKeywords],
    ) -> Answer:
        """Submit one job: `{"id", "status", "deduplicated", …}`. Raises SerializationError before anything is sent.

        Without an `idempotency_key` one is made, so that a repetition after a lost answer submits nothing twice.
        """
        check_names("a submission", given, JobKeywords)
        body = job_body({"kind": kind, "payload": payload, **given})
        return self._answer(self._http.call("POST", "/jobs", body=body, headers=keyed(idempotency_key)))

    def submit_many(self, jobs: Iterable[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Ids:
        """Submit jobs given as `{"kind": …, "payload": …, "priority": …}`; the ids in the same order, whose
        `deduplicated` has the indexes of those that stand for a job which has their unique key.

        They travel in chunks of up to 10,000; each chunk is accepted as a whole or not at all. The log warns of kinds
        that no node has announced.
        """
        return self._ids(_submit_many(self._http, lines_of(jobs), idempotency_key or new_key(), self._unknown))

    def get(self, job_id: str, *, steps: bool = False) -> Answer:
        """The job as it stands; with `steps` also what its runs have recorded."""
        return self._answer(self._http.call("GET", _path(job_id), query={"steps": "true"} if steps else None))

    def cancel(self, job_id: str) -> Answer:
        """The job: its `status` is `cancelled`, or `running` when its node has been told to stop it."""
        return self._answer(self._http.call("DELETE", _path(job_id)))

    def retry(self, job_id: str, *, reset_retry_count: bool = True) -> Answer:
        """Revive a dead job: with all its retries again, or for one more attempt."""
        body = msgspec.json.encode({"reset_retry_count": reset_retry_count})
        path = _path(job_id) + "/retry"
        return self._answer(self._http.call("POST", path, body=body, headers=JSON))

    def jobs(self, **query: str | int | None) -> Answer:
        """One page, `{"jobs", "next"}`; filters: state, kind, queue; limit; cursor is `next` of the page before."""
        return self._answer(self._http.call("GET", "/jobs", query=query))

    def dlq(self, **query: str | int | None) -> Answer:
        """One page of dead letters; filters: kind, queue; limit, cursor."""
        return self._answer(self._http.call("GET", "/dlq", query=query))

    def wait(self, job_id: str, timeout_seconds: Duration = 60.0) -> Answer:
        """The job once it is completed, cancelled or dead: also over the time that it is in state waiting. Raises
        WaitTimeout."""
        return self._answer(until_ended(self._http, _path(job_id), f"job {job_id}", ENDED, seconds_of(timeout_seconds)))


class AsyncClient(_Calls[Coroutine[Any, Any, Json], Coroutine[Any, Any, JobIds]]):
    """For asyncio: `async with AsyncClient() as client: await client.submit("email.send", {…})`.

    One may be used on several event loops, in several threads: it has connections for each.
    """

    def _answer(self, work: Coroutine[Any, Any, Json]) -> Coroutine[Any, Any, Json]:
        return work

    def _ids(self, work: Coroutine[Any, Any, JobIds]) -> Coroutine[Any, Any, JobIds]:
        return work

    def iter_jobs(self, **query: str | int | None) -> AsyncIterator[Json]:
        """Every job that fits the filters (state, kind, queue), page by page."""
        return _pages(self._http, query)

    async def close(self) -> None:
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


class Client(_Calls[Json, JobIds]):
    """For plain code and many threads: `with Client() as client: client.submit("email.send", {…})`."""

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_seconds: Duration = 10.0, retries: int = 3
    ) -> None:
        super().__init__(url, api_key=api_key, timeout_seconds=timeout_seconds, retries=retries)
        self._loop = LoopThread("ironforge-client")

    def _answer(self, work: Coroutine[Any, Any, Json]) -> Json:
        return self._loop.run(work)

    def _ids(self, work: Coroutine[Any, Any, JobIds]) -> JobIds:
        return self._loop.run(work)

    def iter_jobs(self, **query: str | int | None) -> Iterator[Json]:
        """Every job that fits the filters (state, kind, queue), page by page."""
        pages = _pages(self._http, query)
        while (job := self._loop.run(_next(pages))) is not None:
            yield job

    def close(self) -> None:
        """Ends the session and its thread; the client cannot be used afterwards."""
        self._loop.close(self._http.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


async def _submit_many(http: Transport, lines: list[bytes], key: str, unknown: UnknownKinds) -> JobIds:
    ids = JobIds()
    for number, chunk in enumerate(chunks_of(lines)):
        headers = {**_NDJSON, "Idempotency-Key": f"{key}:{number}"}
        try:
            answer = await http.call("POST", "/jobs/batch", body=b"\n".join(chunk), headers=headers)
        except (InvalidJob, Duplicate) as error:
            if error.index is not None:
                error.index += len(ids)  # its place among all of them
            raise
        given = member(answer, "ids", list)
        if len(given) != len(chunk):
            raise refused(200, {"code": "unexpected_answer", "detail": f"{len(given)} ids for {len(chunk)} jobs"})
        # An older API does not say it.
        ids.deduplicated += [len(ids) + index for index in answer.get("deduplicated", ())]
        ids += given
        if "unknown_kinds" in answer:
            unknown.warn(member(answer, "unknown_kinds", list))
    return ids


async def _pages(http: Transport, query: dict[str, str | int | None]) -> AsyncIterator[Json]:
    while True:
        page = await http.call("GET", "/jobs", query=query)
        for job in member(page, "jobs", list):
            yield job
        if page.get("next") is None:
            return
        following = member(page, "next", str)
        if following == query.get("cursor"):
            raise refused(200, {"code": "unexpected_answer", "detail": "the next page is the same page again"})
        query = {**query, "cursor": following}


async def _next(jobs: AsyncIterator[Json]) -> Json | None:
    return await anext(jobs, None)


def _path(job_id: str) -> str:
    return id_path("jobs", "job", job_id)
