"""Turns the body of `POST /jobs/batch` into submissions, one job after the other.

Generators that stop after each job: whoever reads a large batch can let others have their turn. An array is cut where
its jobs end, so that no more of it is ever built than one job takes.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Generator, Iterator
from typing import Final, cast

import msgspec

from ironforge.api.parsing import strict_json
from ironforge.api.parsing.bodies import NDJSON, SMALL_BYTES
from ironforge.api.parsing.requests import JOB_DECODER, content_of, decode, submission
from ironforge.api.parsing.strict_json import SPACE, InvalidJson
from ironforge.api.problems import ApiProblem
from ironforge.api.schemas.jobs import MAX_BATCH, BatchRequest
from ironforge.codes import Code
from ironforge.errors import InvalidJob, Refused
from ironforge.job.checks import MAX_BATCH_VALUES, MAX_PAYLOAD_BYTES, MAX_VALUES
from ironforge.job.record import tail_of
from ironforge.job.request import JobRequest
from ironforge.store.contract import Submission
from ironforge.store.kind_catalog import LookUp, nothing_known

# A job with the largest payload, and all that it may have beside.
MAX_JOB_BYTES: Final = MAX_PAYLOAD_BYTES + 65_536
# Of NDJSON: each job may have a blank one beside it.
MAX_LINES: Final = 2 * MAX_BATCH + 1

_HEAD: Final = re.compile(rb'(?:\{[ \t\r\n]*+"jobs"[ \t\r\n]*+:[ \t\r\n]*+)?\[[ \t\r\n]*+')
_STAND_IN: Final = b'{"kind":"a"}'
_TRAILING: Final = re.compile(r"trailing characters \(byte (\d+)\)\Z")

_array_decoder: Final = msgspec.json.Decoder(list[JobRequest])
_batch_decoder: Final = msgspec.json.Decoder(BatchRequest)
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_skip: Final = msgspec.json.Decoder(msgspec.Raw).decode


def read_batch(
    body: bytes, media_type: str, key: str | None, look_up: LookUp = nothing_known
) -> Generator[None, None, list[Submission]]:
    """The submissions; what is wrong with one carries its index. Raises ApiProblem, StoreUnavailable.

    All of them share the key and the fingerprint of the whole: another batch under this key conflicts.
    """
    tail = random.randrange(256) if key is None else tail_of(key)
    whole, former = hashlib.sha256(), hashlib.sha256()
    batch: list[Submission] = []
    values = 0
    for index, item in enumerate(_lines(body) if media_type == NDJSON else _items(body)):
        try:
            count = strict_json.count_values(_sized(item))
            canonical = strict_json.canonical(item, values=count, in_order=key is not None)
            request = decode(JOB_DECODER, item)
            batch.append(submission(request, key, tail, look_up, index))
        except Refused as error:
            detail = f"job {index} of the batch: {error.detail}"
            raise ApiProblem(cast("Code", error.code), detail, **{**error.facts(), "index": index}) from None
        values += count
        _check_size(len(batch), values)
        if key is not None:
            whole.update((b"," if index else b"[") + content_of(request, canonical))
            former.update((b"," if index else b"[") + canonical)
        yield
    if not batch:
        raise ApiProblem("empty_batch", "the batch holds no job")
    if key is None:
        return batch
    whole.update(b"]")
    former.update(b"]")
    prints = {"fingerprint": whole.digest(), "former_fingerprint": former.digest()}
    return [msgspec.structs.replace(one, **prints) for one in batch]


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines of NDJSON that are not blank."""
    lines = body.count(b"\n")
    if lines > MAX_LINES:
        raise _too_large(f"{lines} lines, at most {MAX_LINES} are accepted with the blank ones")
    return (line for line in body.split(b"\n") if line and not line.isspace())


def _items(body: bytes) -> Iterator[bytes]:
    """The items of an array, or of the array `jobs` in an object."""
    head = _HEAD.match(body, _behind_space(body, 0))
    if head is None:
        raise _no_batch(body)
    if (cut := _cut(body)) is not None:
        yield from map(bytes, cut)
        return
    view = memoryview(body)
    end = at = head.end()
    more = body[at : at + 1] != b"]"
    while more and at < len(body):
        end = _end_of_job(view, at)
        yield body[at:end]
        end = _behind_space(body, end)
        more = body[end : end + 1] == b","
        at = _behind_space(body, end + 1)
    _check_frame(body[: head.end()] + _STAND_IN + body[end:])


def _cut(body: bytes) -> list[msgspec.Raw] | None:
    """All items at once, of an array that is small enough; None too when something is wrong with it."""
    if not body.startswith(b"[") or len(body) > MAX_JOB_BYTES or body.count(b",") > MAX_VALUES:
        return None
    try:
        return _split(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def _end_of_job(view: memoryview, at: int) -> int:
    """Where the value ends that begins at `at`, with the space behind it. One that has no end, or none that a job may
    have, goes on as far as it needs to be refused."""
    window = view[at : at + MAX_JOB_BYTES]
    try:
        _skip(window)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = str(error)
        if found := _TRAILING.search(reason):
            return at + int(found[1]) - 1
        if "truncated" in reason:
            return at + MAX_JOB_BYTES + 1
    return at + len(window)


def _behind_space(body: bytes, at: int) -> int:
    while window := body[at : at + SMALL_BYTES]:
        rest = window.lstrip(SPACE)
        at += len(window) - len(rest)
        if rest:
            break
    return at


def _check_frame(frame: bytes) -> None:
    """A batch, with all its jobs replaced by one."""
    try:
        strict_json.canonical(frame)
    except InvalidJson as error:
        if error.code != "invalid_json":
            raise
        raise InvalidJson("invalid_json", "the batch is not valid JSON behind its last job") from None
    _decode_batch(frame)


def _no_batch(body: bytes) -> ApiProblem:
    if len(body) <= MAX_JOB_BYTES:
        strict_json.canonical(body)
        _decode_batch(body)
    expected = 'an array of jobs, or `{"jobs": […]}` with nothing before that key'
    return ApiProblem("invalid_type", f"the batch is not {expected}")


def _decode_batch(body: bytes) -> None:
    """Raises ApiProblem for what is neither an array of jobs nor an object with one."""
    if body.lstrip(SPACE).startswith(b"{"):
        decode(_batch_decoder, body)
    else:
        decode(_array_decoder, body)


def _sized(item: bytes) -> bytes:
    if len(item) > MAX_JOB_BYTES:
        raise InvalidJob(
            f"the job has more than {MAX_JOB_BYTES} bytes: store large data elsewhere and submit a reference to it",
            code="payload_too_large",
            field="payload",
        )
    return item


def _check_size(jobs: int, values: int) -> None:
    if jobs > MAX_BATCH:
        raise _too_large(f"{jobs} jobs or more, at most {MAX_BATCH} are accepted")
    if values > MAX_BATCH_VALUES:
        raise _too_large(f"more than {MAX_BATCH_VALUES} JSON values, the most accepted")


def _too_large(what: str) -> ApiProblem:
    return ApiProblem("batch_too_large", f"the batch holds {what}: split it")
