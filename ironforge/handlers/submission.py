"""Submission from Python straight to the server, without the HTTP API in between.

The connection is opened by the first submission: an application that only defines handlers needs no server.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ironforge.errors import ConfigError, InvalidJob
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.checks import check_idempotency_key
from ironforge.job.options import JobOptions, merge, options_of
from ironforge.job.payload_schema import check_payload
from ironforge.job.record import format_id, new_id, parse_id, tail_of
from ironforge.job.request import content, digest, in_order
from ironforge.job.uniqueness import JobIds
from ironforge.process.per_loop import PerLoop
from ironforge.settings import Settings, load
from ironforge.store import Producer, StoreClient, Submission
from ironforge.store.contract import unknown_kinds
from ironforge.store.kind_catalog import KindCatalog, LookUp, nothing_known
from ironforge.store.kinds import as_announced
from ironforge.store.server_checks import check_shards
from ironforge.store.steps.contract import Events
from ironforge.store.workflows.contract import Workflows, WorkflowSubmission
from ironforge.store.workflows.preparing import Own, Preparing
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.decoding import content as content_of_workflow
from ironforge.workflows.definition import Workflow

T = TypeVar("T")
R = TypeVar("R")


class SubmissionBuilder:
    """The options of one submission, or of all in a batch, checked once. Raises InvalidJob for any that is wrong.

    `registered`: what this application says of the kind, if it has it; `defaults`: of these what holds at the door.
    """

    def __init__(
        self,
        kind: str,
        given: Mapping[str, Any],
        registered: JobOptions | None = None,
        defaults: CheckedOptions | None = None,
    ) -> None:
        rest = dict(given)
        self._kind = kind
        self._key = check_idempotency_key(rest.pop("idempotency_key", None))
        text_id = rest.pop("id", None)
        self._job_id = None if text_id is None else _parsed(text_id)
        self._tail = random.randrange(256) if self._key is None else tail_of(self._key)
        self._given = options_of(rest)
        self._registered = registered
        self._checked = self._given.checked(defaults)
        self._schemas: Sequence[str] = ()
        self._kind_known = registered is not None

    def ask(self, look_up: LookUp) -> None:
        """What nodes announced of the kind goes before what this application says of it. Raises as `LookUp` does."""
        known = look_up(self._kind)
        if known is not None:
            self._checked = self._given.checked(known.defaults)
            self._schemas = known.schemas
            self._kind_known = True

    def submission(self, payload: bytes) -> Submission:
        checked = self._checked
        if self._schemas:
            check_payload(self._kind, self._schemas, payload)
        job = checked.job(self._kind, payload, self._job_id, self._tail)
        again = self._job_id is not None
        submission = Submission(
            job,
            checked.delay_ms,
            checked.run_at_ms,
            self._key,
            again=again,
            given=self._given,
            expires_in_ms=checked.expires_in_ms,
            kind_known=self._kind_known,
        )
        if self._key is None:
            return submission
        return msgspec.structs.replace(
            submission,
            fingerprint=digest(content(self._kind, in_order(payload), self._given)),
            former_fingerprint=digest(
                _former_content(self._kind, payload, merge(self._registered or JobOptions(), self._given).checked())
            ),
        )


def _parsed(job_id: object) -> bytes:
    try:
        return parse_id(job_id if isinstance(job_id, str) else str(job_id))
    except ValueError:
        raise InvalidJob(
            f"id {job_id!r:.60} is not a UUIDv7 in its usual text form", code="invalid_job_id", field="id"
        ) from None


def _former_content(kind: str, payload: bytes, checked: CheckedOptions) -> bytes:
    """What the first version took for the content: a key that it has stored may be repeated after an upgrade."""
    record = checked.record
    values = [record.priority, record.queue, record.max_retries, record.timeout_ms, record.retain_ms]
    values += [checked.delay_ms, checked.run_at_ms]
    if record.fairness_key:
        values += [record.fairness_key, record.fairness_weight]
    return msgspec.msgpack.encode((kind, payload, values))


class Submitter:
    """Where submissions go in. Without `producer` it connects when first used, as `settings` say."""

    def __init__(self, settings: Settings | None, producer: Producer | None = None) -> None:
        self._producer = producer
        self._ways = PerLoop(lambda: _Way(settings), _Way.abandon)

    async def submit(self, items: Sequence[Submission | bytes], builder: SubmissionBuilder) -> JobIds:
        """The ids as text. `builder` makes submissions of encoded payloads. Raises IdempotencyConflict, QueueFull,
        InvalidJob, StoreUnavailable."""
        if not items:
            return JobIds()
        producer, kinds = await self._open()
        look_up = nothing_known if kinds is None else kinds.look_up
        builder.ask(look_up)
        batch = each_of(
            items, lambda item: builder.submission(item) if isinstance(item, bytes) else _asked(item, look_up)
        )
        accepted = await producer.submit(batch)
        if kinds is not None:
            kinds.unknown.warn(unknown_kinds(batch))
        twice = [index for index, answer in enumerate(accepted) if answer.deduplicated]
        return JobIds([format_id(answer.id) for answer in accepted], twice)

    async def send_event(self, name: str, payload: bytes, keep_ms: int) -> bool:
        """Whether it is the first of its name. Raises ConfigError, StoreUnavailable."""
        if self._producer is not None:
            raise ConfigError("this Forge was made with a producer, which sends no events: make one with settings")
        return await (await (await self._ways.here()).events()).send(name, payload, keep_ms)

    async def submit_workflow(
        self, document: Workflow, own: Callable[[str], Own | None], key: str | None, text_id: str | None
    ) -> str:
        """The id as text. `own`: what this application says of a kind. Raises InvalidJob, IdempotencyConflict,
        ConfigError, StoreUnavailable."""
        check_idempotency_key(key)
        given = None if text_id is None else _parsed(text_id)
        graph = check_workflow(document)
        if self._producer is not None:
            raise ConfigError("this Forge was made with a producer, which takes no workflows: make one with settings")
        workflows, kinds = await (await self._ways.here()).workflows()
        prepare = Preparing(kinds.look_up, own)
        prepared = prepare(document, graph)
        workflow_id = given or new_id(None if key is None else tail_of(key))
        fingerprint = b"" if key is None else digest(content_of_workflow(document))
        [submitted] = await workflows.submit([WorkflowSubmission(workflow_id, prepared, key, fingerprint)])
        kinds.unknown.warn(prepare.unknown_kinds)
        return format_id(submitted.id)

    async def as_announced(self) -> Callable[[Submission], Submission]:
        """What makes of a submission the one that it is by what nodes announced of its kind. That raises InvalidJob."""
        _, kinds = await self._open()
        look_up = nothing_known if kinds is None else kinds.look_up
        return lambda item: _asked(item, look_up)

    async def _open(self) -> tuple[Producer, KindCatalog | None]:
        return (self._producer, None) if self._producer else await (await self._ways.here()).open()

    async def close(self) -> None:
        """Close what the running loop has; the next submission opens it again."""
        await self._ways.close()


def each_of(items: Sequence[T], make: Callable[[T], R]) -> list[R]:
    """What is made of each. Of several the one that InvalidJob is raised for is its `index`."""
    made: list[R] = []
    try:
        for item in items:
            made.append(make(item))  # noqa: PERF401 - how many there are says which one is wrong
    except InvalidJob as error:
        error.index = len(made) if len(items) > 1 else None
        raise
    return made


def _asked(item: Submission, look_up: LookUp) -> Submission:
    """As nodes announced its kind."""
    known = look_up(item.job.kind)
    if known is None or item.given is None:
        return item
    checked = as_announced(known, item.job.kind, item.job.payload, item.given)
    job = checked.job(item.job.kind, item.job.payload, item.job.id)
    return msgspec.structs.replace(item, job=job, expires_in_ms=checked.expires_in_ms, kind_known=True)


class _Way:
    """What one event loop has of the store, from its first submission on."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._store_client: StoreClient | None = None
        self._kinds: KindCatalog | None = None
        self._connecting = asyncio.Lock()

    async def open(self) -> tuple[Producer, KindCatalog]:
        """What takes submissions, and what knows their kinds."""
        store_client, kinds = await self._connected()
        await kinds.refresh_if_due()
        return store_client.producer, kinds

    async def workflows(self) -> tuple[Workflows, KindCatalog]:
        store_client, kinds = await self._connected()
        await kinds.refresh_if_due()
        return store_client.workflows, kinds

    async def events(self) -> Events:
        return (await self._connected())[0].events

    async def _connected(self) -> tuple[StoreClient, KindCatalog]:
        if self._kinds is None:
            async with self._connecting:
                if self._kinds is None:
                    settings, self._store_client = await self._open()
                    self._kinds = KindCatalog(self._store_client.inspector, settings)
        assert self._store_client is not None
        return self._store_client, self._kinds

    async def close(self) -> None:
        if self._store_client is not None:
            await self._store_client.close()

    def abandon(self) -> None:
        if self._store_client is not None:
            self._store_client.abandon()

    async def _open(self) -> tuple[Settings, StoreClient]:
        settings = load() if self._settings is None else self._settings
        if not settings.redis_url:
            raise ConfigError("no server to submit to: set IRONFORGE_REDIS_URL, for example redis://127.0.0.1:6379")
        await check_shards(settings)
        return settings, StoreClient(settings)
