"""Turns request bytes into checked values: submissions, batches, query parameters, job ids.

Pure functions without I/O, so that a large batch can be read in a thread. The payload bytes of a job are a
slice of what the submitter sent, never a new encoding of it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ironforge import options
from ironforge.api import strict_json
from ironforge.api.bodies import NDJSON
from ironforge.api.problems import ApiProblem, invalid
from ironforge.api.schemas import ID_EXAMPLE, MAX_BATCH, MAX_PAGE, BatchRequest, DeadQuery, JobRequest
from ironforge.closest import closest
from ironforge.errors import InvalidJob
from ironforge.job import new_id, parse_id, tail_of
from ironforge.store.contract import Submission

T = TypeVar("T")
Query = TypeVar("Query", bound=msgspec.Struct)

_IDEMPOTENCY_KEY: Final = re.compile(r"[ -~]{1,255}\Z")
_ITEM: Final = re.compile(r"(?:jobs)?\[(\d+)\]\.?")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`\Z")

_job_decoder: Final = msgspec.json.Decoder(JobRequest)
_array_decoder: Final = msgspec.json.Decoder(list[JobRequest])
_batch_decoder: Final = msgspec.json.Decoder(BatchRequest)


def read_job(body: bytes, key: str | None) -> Submission:
    """The one submission of `POST /jobs`. Raises InvalidJson, InvalidJob, ApiProblem."""
    tree = strict_json.parse(body)
    request = decode(_job_decoder, body)
    return _submission(request, key, fingerprint(tree) if key else b"", None if key is None else tail_of(key))


def read_batch(body: bytes, media_type: str, key: str | None) -> list[Submission]:
    """The submissions of `POST /jobs/batch`; what is wrong with one carries its index.

    All of them share the key and the fingerprint of the whole: another batch under this key conflicts.
    """
    tree, requests = _lines(body) if media_type == NDJSON else _array(body)
    if not requests:
        raise ApiProblem(400, "empty_batch", "the batch holds no job")
    whole = fingerprint(tree) if key else b""
    submissions = []
    tail = random.randrange(256) if key is None else tail_of(key)
    for index, request in enumerate(requests):
        try:
            submissions.append(_submission(request, key, whole, tail, index))
        except InvalidJob as error:
            raise _at(index, invalid(error)) from None
    return submissions


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Typed decoding of a body that `strict_json` has let through. Raises ApiProblem (400)."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        fields = getattr(decoder.type, "__struct_fields__", ())
        raise _mismatch(str(error), fields) from None


def read_query(query: Mapping[str, str], model: type[Query]) -> Query:
    """The query parameters. Raises ApiProblem (400, invalid_parameter)."""
    if not query:
        return model()
    if len(query) != len(set(query)):
        raise ApiProblem(400, "invalid_parameter", "a query parameter is given twice")
    try:
        values = msgspec.convert(dict(query), model, strict=False)
    except msgspec.ValidationError as error:
        problem = _mismatch(str(error), model.__struct_fields__)
        raise ApiProblem(400, "invalid_parameter", problem.detail, **problem.extra) from None
    if isinstance(values, DeadQuery):
        _check_filters(values)
    return values


def _check_filters(query: DeadQuery) -> None:
    if not 1 <= query.limit <= MAX_PAGE:
        raise ApiProblem(
            400,
            "invalid_parameter",
            f"limit {query.limit} is out of range: 1 to {MAX_PAGE}",
            field="limit",
        )
    try:
        if query.kind is not None:
            options.check_kind(query.kind)
        if query.queue is not None:
            options.check_queue(query.queue)
    except InvalidJob as error:
        raise ApiProblem(400, "invalid_parameter", str(error), field=error.field) from None


def read_id(text: str) -> bytes:
    """Raises ApiProblem (400) when `text` cannot be a job id."""
    try:
        return parse_id(text)
    except ValueError:
        raise ApiProblem(
            400,
            "invalid_job_id",
            f"{text[:100]!r} is not a job id: expected a UUIDv7 such as {ID_EXAMPLE}",
            field="id",
        ) from None


def read_key(key: str | None) -> str | None:
    """The Idempotency-Key header. Raises ApiProblem (400)."""
    if key is not None and not _IDEMPOTENCY_KEY.match(key):
        raise ApiProblem(
            400,
            "invalid_idempotency_key",
            f"Idempotency-Key must be 1 to {options.MAX_KEY_CHARACTERS} printable ASCII characters",
            field="Idempotency-Key",
        )
    return key


def fingerprint(tree: Any) -> bytes:
    """The same for every spelling of one JSON value: order of keys, white space and escapes do not count."""
    return hashlib.sha256(msgspec.json.encode(tree, order="deterministic")).digest()


# --------------------------------------------------------------------------- one submission, many submissions


def _submission(request: JobRequest, key: str | None, content: bytes, tail: int | None, place: int = 0) -> Submission:
    if "\0" in request.kind + (request.queue or "") + (request.fairness_key or ""):
        raise InvalidJob("a name must not hold a NUL character", code="invalid_unicode", field="kind")
    kind = options.check_kind(request.kind)
    payload = options.check_payload_size(bytes(request.payload))
    checked = options.validate_options(
        priority=request.priority,
        queue=request.queue,
        max_retries=request.max_retries,
        timeout_seconds=request.timeout_seconds,
        retain_seconds=request.retain_seconds,
        delay_seconds=request.delay_seconds,
        run_at=request.run_at,
        fairness_key=request.fairness_key,
        fairness_weight=request.fairness_weight,
    )
    job = checked.job(kind, payload, new_id(tail))
    return Submission(job, checked.delay_ms, checked.run_at_ms, key, content, place)


def _array(body: bytes) -> tuple[Any, list[JobRequest]]:
    try:
        tree = strict_json.parse(body)
    except strict_json.InvalidJson as error:
        raise _in_batch(invalid(error)) from None
    items = tree.get("jobs") if isinstance(tree, dict) else tree
    _check_count(len(items) if isinstance(items, list) else 0)
    try:
        if isinstance(tree, dict):
            return items, decode(_batch_decoder, body).jobs
        return tree, decode(_array_decoder, body)
    except ApiProblem as problem:
        raise _in_batch(problem) from None


def _lines(body: bytes) -> tuple[Any, list[JobRequest]]:
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    _check_count(len(lines))
    trees, requests = [], []
    for index, line in enumerate(lines):
        try:
            trees.append(strict_json.parse(line))
            requests.append(decode(_job_decoder, line))
        except strict_json.InvalidJson as error:
            raise _at(index, invalid(error)) from None
        except ApiProblem as problem:
            raise _at(index, problem) from None
    return trees, requests


def _check_count(count: int) -> None:
    if count > MAX_BATCH:
        raise ApiProblem(
            413,
            "batch_too_large",
            f"the batch holds {count} jobs, at most {MAX_BATCH} are accepted: split it",
        )


# --------------------------------------------------------------------------- saying what is wrong


def _mismatch(message: str, fields: tuple[str, ...]) -> ApiProblem:
    """msgspec says everything in one sentence; programs need it in parts. Its words are pinned by a test."""
    place = _PLACE.search(message)
    path = place.group(1) if place else ""
    text = message[: place.start()] if place else message
    names = JobRequest.__struct_fields__ if path.endswith("]") else fields
    if unknown := _UNKNOWN.search(text):
        name = unknown.group(1)
        close = closest(name, names)
        known = f"known are {', '.join(names)}" if names else "none is known here"
        hint = f"did you mean `{close}`?" if close else known
        return ApiProblem(
            400, "unknown_field", f"unknown field `{name[:100]}`: {hint}", field=_join(path, name), hint=hint
        )
    if missing := _MISSING.search(text):
        name = missing.group(1)
        return ApiProblem(400, "missing_field", f"the field `{name}` is required", field=_join(path, name))
    code = "invalid_type"
    if text.startswith("Invalid enum value") and path.rpartition(".")[2] == "priority":
        code = "invalid_priority"
        text += ": one of critical, high, medium, low"
    return ApiProblem(400, code, f"{path or 'the body'}: {text}", field=path or None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _in_batch(problem: ApiProblem) -> ApiProblem:
    """Split `jobs[3].kind` into the item's index and the field inside it."""
    item = _ITEM.match(problem.extra.get("field") or "")
    if item is None:
        return problem
    problem.extra["field"] = problem.extra["field"][item.end() :] or None
    return _at(int(item.group(1)), problem)


def _at(index: int, problem: ApiProblem) -> ApiProblem:
    problem.extra["index"] = index
    problem.detail = f"job {index} of the batch: {problem.detail}"
    return problem
