"""One call of `submit.lua`: its keys and arguments, made of batches that go to the server together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ironforge.job.record import FIRST_VERSION, Job, encode, redelivery_stream, streams_of
from ironforge.job.uniqueness import OnConflict
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import SUBMIT, SUBMIT_NEWER
from ironforge.settings import Settings
from ironforge.store.contract import Most, Submission
from ironforge.store.producer.routes import answer_key, digest_of, remembered_seconds

_CONFLICTS: Final[dict[OnConflict, str]] = {"return": "r", "reject": "j", "replace": "p", "debounce": "d"}
# Of children: none is refused, their parents are told.
_CHILDS_CONFLICTS: Final[dict[OnConflict, str]] = {"return": "r", "reject": "r", "replace": "x", "debounce": "d"}


class Batch(msgspec.Struct, frozen=True):
    """`generations` of idempotency keys that have a route."""

    batch: Sequence[Submission]
    most: Most
    generations: Mapping[str, int]

    @property
    def alone(self) -> bool:
        # `any` would make a generator for each submission, which takes five times as long.
        for item in self.batch:  # noqa: SIM110
            if item.again or item.idempotency_key is not None:
                return True
        return False


class SubmitCall:
    """The keys and arguments of one `submit.lua` call for a group of batches. `repeated`: it may have been carried out
    before, so it asks first which of its jobs are known."""

    def __init__(self, keys: Keys, settings: Settings, group: Sequence[Batch], *, repeated: bool) -> None:
        self.items = [item for waiting in group for item in waiting.batch]
        jobs = [item.job for item in self.items]
        newer = [job for job in jobs if job.version > FIRST_VERSION]
        self.script = SUBMIT_NEWER if newer else SUBMIT
        unique = bool(newer) and any(job.unique for job in newer)
        careful = repeated or group[0].alone
        again = careful and (repeated or any(item.again for item in self.items))
        limit = settings.max_queue_length
        names, marks = [job.stream for job in jobs], [job.mark for job in jobs]
        self.keys = self.script.keys(keys)
        numbers, streams = self._streams(keys, names, marks, bounded=limit > 0)
        width = 5 + 2 * unique + 4 * careful
        self.arguments: list[str | bytes | int] = [keys.signals, width, streams]
        self.arguments += [remembered_seconds(settings), int(again), limit]
        self.arguments += map(min, zip(*{waiting.most for waiting in group}, strict=True))
        self.arguments += (self._expiring() if newer else "", "")
        head = len(self.arguments)
        extra: dict[str, int] = {}
        self._answers: dict[str, str] = {}
        self.size = 0
        for item, job, stream, mark in zip(self.items, jobs, names, marks, strict=True):
            record = encode(job)
            self.size += len(record)
            self.arguments += (numbers[stream], job.id, record, due_of(item), mark)
            if unique:
                self.arguments += _unique(job)
            if careful:
                self.arguments += self._careful(item, keys, extra, again=again)
        if routes := group[0].generations:
            asked = (f"{extra[name]}={routes.get(key, 0)}" for key, name in self._answers.items())
            self.arguments[head - 1] = " ".join(asked)

    def _streams(self, keys: Keys, names: list[str], marks: list[str], *, bounded: bool) -> tuple[dict[str, int], int]:
        """Adds the keys of streams and their lines: by stream the number of its key, and how many keys these are."""
        if bounded:
            # What bounds a queue is all that is in it, whatever its priority.
            streams = dict.fromkeys(streams_of([*dict.fromkeys(item.job.queue for item in self.items)]))
            with_lines = [name for name in streams if name != redelivery_stream(name)]
        else:
            streams = dict.fromkeys(names)
            with_lines = list(dict.fromkeys(itertools.compress(names, marks)))
        before = len(self.keys)
        self.keys += map(keys.stream, streams)
        numbers = dict(zip(streams, itertools.count(before + 1), strict=False))
        for stream in with_lines:
            self.keys += (keys.fair(stream), keys.turns(stream), keys.behind(stream), keys.declined(stream))
        return numbers, len(self.keys) - before

    def _expiring(self) -> str:
        expiring = [f"{number}:{item.expires_in_ms}" for number, item in enumerate(self.items) if item.expires_in_ms]
        return ",".join(expiring)

    def _careful(
        self, item: Submission, keys: Keys, extra: dict[str, int], *, again: bool
    ) -> tuple[int, bytes, int, int]:
        number, fingerprint, bucket = 0, b"", 0
        if item.idempotency_key is not None:
            number = self._number(extra, self._answer(item.idempotency_key, keys))
            fingerprint = digest_of(item.fingerprint)
            if item.former_fingerprint not in (b"", item.fingerprint):
                fingerprint += digest_of(item.former_fingerprint)
        if again:
            bucket = self._number(extra, keys.bucket_of(item.job.id, "done"))
            self._number(extra, keys.bucket_of(item.job.id, "kept"))
        return number, fingerprint, bucket, item.place

    def _answer(self, key: str, keys: Keys) -> str:
        """The jobs of a batch share one key."""
        if key not in self._answers:
            self._answers[key] = answer_key(keys, key)
        return self._answers[key]

    def _number(self, extra: dict[str, int], key: str) -> int:
        if key not in extra:
            self.keys.append(key)
            extra[key] = len(self.keys)
        return extra[key]


def _unique(job: Job) -> tuple[str, str]:
    """Its key and what to do with it, as `conflict.lua` takes them."""
    use = job.unique
    if use is None:
        return "", ""
    conflicts = _CONFLICTS if job.parent is None else _CHILDS_CONFLICTS
    return f"{job.kind}:{use.key}", f"{conflicts[use.on_conflict]}:{use.for_ms}:{use.max_wait_ms}"


def due_of(item: Submission) -> str:
    """When its job is due, as `submit.lua` takes it; empty: at once."""
    if item.delay_ms:
        return f"+{item.delay_ms}"
    return "" if item.run_at_ms is None else str(item.run_at_ms)
