"""Submission from Python straight to the server, without the HTTP API in between.

The connection is opened by the first submission: an application that only defines handlers needs no server.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import msgspec

from ironforge.errors import ConfigError, InvalidJob
from ironforge.formats.duration import Duration
from ironforge.formats.suggest import closest
from ironforge.job.options import Options, check_idempotency_key, validate_options
from ironforge.job.record import Priority, format_id, new_id, parse_id, tail_of
from ironforge.process.per_loop import PerLoop
from ironforge.settings import Settings, load
from ironforge.store import Producer, StoreClient, Submission
from ironforge.store.server_checks import check_shards


class KindOptions(TypedDict, total=False):
    """What a kind may fix for its jobs, and a submission may override. None: not given."""

    priority: str | Priority | None
    queue: str | None
    max_retries: int | None
    timeout_seconds: Duration | None
    retain_seconds: Duration | None


class BatchOptions(KindOptions, total=False):
    """What many jobs may have in common. `run_at` needs a zone, and excludes `delay_seconds`."""

    delay_seconds: Duration | None
    run_at: datetime | None
    fairness_key: str | None
    fairness_weight: int | None


class JobOptions(BatchOptions, total=False):
    """What belongs to one job alone. `id` is a UUIDv7 as text."""

    idempotency_key: str | None
    id: str | None


def check_names(what: str, given: Iterable[str], allowed: type) -> None:
    """Raises TypeError, as Python does for keywords that a function does not take."""
    names = allowed.__annotations__
    for name in given:
        if name not in names:
            close = closest(name, names)
            hint = f"did you mean {close!r}?" if close else f"it takes {', '.join(names)}"
            raise TypeError(f"{what} takes no option {name!r}: {hint}")


class SubmissionBuilder:
    """The options of one submission, or of all in a batch, checked once. Raises InvalidJob for any that is wrong."""

    def __init__(self, kind: str, defaults: Options | None, given: Mapping[str, Any]) -> None:
        rest = dict(given)
        self._kind = kind
        self._key = check_idempotency_key(rest.pop("idempotency_key", None))
        text_id = rest.pop("id", None)
        self._job_id = None if text_id is None else _parsed(text_id)
        self._tail = random.randrange(256) if self._key is None else tail_of(self._key)
        options = validate_options(**rest)
        self._options = options if defaults is None else _filled(options, defaults, given)

    def submission(self, payload: bytes) -> Submission:
        options = self._options
        mark = b"" if self._key is None else fingerprint(self._kind, payload, options)
        job = options.job(self._kind, payload, self._job_id or new_id(self._tail))
        return Submission(job, options.delay_ms, options.run_at_ms, self._key, mark)


def _filled(options: Options, defaults: Options, given: Mapping[str, Any]) -> Options:
    return options._replace(
        priority=defaults.priority if given.get("priority") is None else options.priority,
        queue=defaults.queue if given.get("queue") is None else options.queue,
        max_retries=defaults.max_retries if options.max_retries is None else options.max_retries,
        timeout_ms=defaults.timeout_ms if options.timeout_ms is None else options.timeout_ms,
        retain_ms=defaults.retain_ms if options.retain_ms is None else options.retain_ms,
    )


def _parsed(job_id: object) -> bytes:
    try:
        return parse_id(job_id if isinstance(job_id, str) else str(job_id))
    except ValueError:
        raise InvalidJob(
            f"id {job_id!r:.60} is not a UUIDv7 in its usual text form", code="invalid_job_id", field="id"
        ) from None


def fingerprint(kind: str, payload: bytes, options: Options) -> bytes:
    """Tells a repeated submission from a different one under the same idempotency key."""
    # Without a fairness key it is what it was before there were any, so an upgrade makes no conflicts.
    values = tuple(options) if options.fairness_key else tuple(options)[:-2]
    return hashlib.sha256(msgspec.msgpack.encode((kind, payload, values))).digest()


class Submitter:
    """Where submissions go in. Without `producer` it connects when first used, as `settings` say."""

    def __init__(self, settings: Settings | None, producer: Producer | None = None) -> None:
        self._producer = producer
        self._ways = PerLoop(lambda: _Way(settings), _Way.abandon)

    async def submit(self, batch: Sequence[Submission], *, again: bool = False) -> list[str]:
        """The ids as text. Raises IdempotencyConflict, QueueFull, StoreUnavailable."""
        if not batch:
            return []
        producer = self._producer or await (await self._ways.here()).producer()
        accepted = await producer.submit(batch, again=again)
        return [format_id(answer.id) for answer in accepted]

    async def close(self) -> None:
        """Close what the running loop has; the next submission opens it again."""
        await self._ways.close()


class _Way:
    """What one event loop has of the store, from its first submission on."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._store_client: StoreClient | None = None
        self._connecting = asyncio.Lock()

    async def producer(self) -> Producer:
        if self._store_client is None:
            async with self._connecting:
                if self._store_client is None:
                    self._store_client = await self._open()
        return self._store_client.producer

    async def close(self) -> None:
        if self._store_client is not None:
            await self._store_client.close()

    def abandon(self) -> None:
        if self._store_client is not None:
            self._store_client.abandon()

    async def _open(self) -> StoreClient:
        settings = load() if self._settings is None else self._settings
        if not settings.redis_url:
            raise ConfigError("no server to submit to: set IRONFORGE_REDIS_URL, for example redis://127.0.0.1:6379")
        await check_shards(settings)
        return StoreClient(settings)
