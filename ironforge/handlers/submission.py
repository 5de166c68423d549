"""Submission from Python straight to the server, without the HTTP API in between.

The connection is opened by the first submission: an application that only defines handlers needs no server.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ironforge.errors import ConfigError, InvalidJob
from ironforge.job.checks import check_idempotency_key
from ironforge.job.fingerprint import content, digest, in_order
from ironforge.job.options import CheckedOptions, JobOptions, merge, options_of
from ironforge.job.record import format_id, new_id, parse_id, tail_of
from ironforge.process.per_loop import PerLoop
from ironforge.settings import Settings, load
from ironforge.store import Producer, StoreClient, Submission
from ironforge.store.server_checks import check_shards


class SubmissionBuilder:
    """The options of one submission, or of all in a batch, checked once. Raises InvalidJob for any that is wrong."""

    def __init__(self, kind: str, defaults: JobOptions | None, given: Mapping[str, Any]) -> None:
        rest = dict(given)
        self._kind = kind
        self._key = check_idempotency_key(rest.pop("idempotency_key", None))
        text_id = rest.pop("id", None)
        self._job_id = None if text_id is None else _parsed(text_id)
        self._tail = random.randrange(256) if self._key is None else tail_of(self._key)
        self._given = options_of(rest)
        self._checked = (self._given if defaults is None else merge(defaults, self._given)).checked()

    def submission(self, payload: bytes) -> Submission:
        checked = self._checked
        job = checked.job(self._kind, payload, self._job_id or new_id(self._tail))
        again = self._job_id is not None
        submission = Submission(job, checked.delay_ms, checked.run_at_ms, self._key, again=again)
        if self._key is None:
            return submission
        return submission._replace(
            fingerprint=digest(content(self._kind, in_order(payload), self._given)),
            former_fingerprint=digest(_former_content(self._kind, payload, checked)),
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
    record, delay_ms, run_at_ms = checked
    values = [record.priority, record.queue, record.max_retries, record.timeout_ms, record.retain_ms]
    values += [delay_ms, run_at_ms]
    if record.fairness_key:
        values += [record.fairness_key, record.fairness_weight]
    return msgspec.msgpack.encode((kind, payload, values))


class Submitter:
    """Where submissions go in. Without `producer` it connects when first used, as `settings` say."""

    def __init__(self, settings: Settings | None, producer: Producer | None = None) -> None:
        self._producer = producer
        self._ways = PerLoop(lambda: _Way(settings), _Way.abandon)

    async def submit(self, batch: Sequence[Submission]) -> list[str]:
        """The ids as text. Raises IdempotencyConflict, QueueFull, StoreUnavailable."""
        if not batch:
            return []
        producer = self._producer or await (await self._ways.here()).producer()
        accepted = await producer.submit(batch)
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
