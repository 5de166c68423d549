"""Turns request bytes into checked values: submissions, query parameters, job ids.

Pure functions without I/O, so that a large body can be read in a thread. The payload bytes of a job are a
slice of what the submitter sent, never a new encoding of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, cast

import msgspec

from ironforge.api.parsing import strict_json
from ironforge.api.problems import ApiProblem
from ironforge.api.schemas.jobs import ID_EXAMPLE, MAX_PAGE, DeadQuery
from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.job import checks
from ironforge.job.mismatch import mismatch
from ironforge.job.record import parse_id, tail_of
from ironforge.job.request import JobRequest, content, digest
from ironforge.store.contract import Submission
from ironforge.store.kind_catalog import LookUp, nothing_known
from ironforge.store.kinds import as_announced

T = TypeVar("T")
Query = TypeVar("Query", bound=msgspec.Struct)

_IDEMPOTENCY_KEY: Final = re.compile(r"[ -~]{1,255}\Z")
JOB_DECODER: Final = msgspec.json.Decoder(JobRequest)


def read_job(body: bytes, key: str | None, look_up: LookUp = nothing_known) -> Submission:
    """The one submission of `POST /jobs`. Raises InvalidJson, InvalidJob, ApiProblem, StoreUnavailable."""
    canonical = strict_json.canonical(body, in_order=key is not None)
    request = decode(JOB_DECODER, body)
    if key is None:
        return submission(request, None, None, look_up)
    accepted = submission(request, key, tail_of(key), look_up)
    return msgspec.structs.replace(
        accepted, fingerprint=digest(content_of(request, canonical)), former_fingerprint=digest(canonical)
    )


def content_of(request: JobRequest, canonical: bytes) -> bytes:
    """What identifies a checked request. `canonical`: its body, in order."""
    return content(request.kind, bytes(JOB_DECODER.decode(canonical).payload), request)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Typed decoding of a body that `strict_json` has let through. Raises ApiProblem (400)."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        problem = mismatch(str(error), decoder.type)
        raise ApiProblem(cast("Code", problem.code), problem.detail, **problem.facts()) from None


def read_query(query: Mapping[str, str], model: type[Query]) -> Query:
    """The query parameters. Raises ApiProblem (400, invalid_parameter)."""
    if not query:
        return model()
    if len(query) != len(set(query)):
        raise ApiProblem("invalid_parameter", "a query parameter is given twice")
    try:
        values = msgspec.convert(dict(query), model, strict=False)
    except msgspec.ValidationError as error:
        problem = mismatch(str(error), model)
        raise ApiProblem("invalid_parameter", problem.detail, **problem.facts()) from None
    limit = getattr(values, "limit", 1)
    if not 1 <= limit <= MAX_PAGE:
        raise ApiProblem("invalid_parameter", f"limit {limit} is out of range: 1 to {MAX_PAGE}", field="limit")
    if isinstance(values, DeadQuery):
        _check_filters(values)
    return values


def _check_filters(query: DeadQuery) -> None:
    try:
        if query.kind is not None:
            checks.check_kind(query.kind)
        if query.queue is not None:
            checks.check_queue(query.queue)
    except InvalidJob as error:
        raise ApiProblem("invalid_parameter", str(error), field=error.field) from None


def read_id(text: str, what: str = "job") -> bytes:
    """Raises ApiProblem (400) when `text` cannot be the id of one."""
    try:
        return parse_id(text)
    except ValueError:
        raise ApiProblem(
            "invalid_job_id",
            f"{text[:100]!r} is not a {what} id: expected a UUIDv7 such as {ID_EXAMPLE}",
            field="id",
        ) from None


def read_key(keys: Sequence[str]) -> str | None:
    """What the Idempotency-Key headers of a request say. Raises ApiProblem (400)."""
    if not keys:
        return None
    if len(set(keys)) > 1:
        raise ApiProblem(
            "invalid_idempotency_key",
            f"there are {len(keys)} Idempotency-Key headers that differ: send one",
            field="Idempotency-Key",
        )
    if not _IDEMPOTENCY_KEY.match(keys[0]):
        raise ApiProblem(
            "invalid_idempotency_key",
            f"Idempotency-Key must be 1 to {checks.MAX_KEY_CHARACTERS} printable ASCII characters",
            field="Idempotency-Key",
        )
    return keys[0]


# --------------------------------------------------------------------------- one submission


def submission(request: JobRequest, key: str | None, tail: int | None, look_up: LookUp, place: int = 0) -> Submission:
    """Without what identifies it under its key. Raises InvalidJob, StoreUnavailable."""
    try:
        kind = checks.check_kind(request.kind)
        known = look_up(kind)
        payload = checks.check_payload_size(bytes(request.payload))
        checked = as_announced(known, kind, payload, request)
    except InvalidJob as error:
        if "\0" in str(getattr(request, error.field or "", "")):
            message = f"{error.field} must not hold a NUL character"
            raise InvalidJob(message, code="invalid_unicode", field=error.field) from None
        raise
    job = checked.job(kind, payload, tail=tail)
    return Submission(
        job,
        checked.delay_ms,
        checked.run_at_ms,
        key,
        place=place,
        expires_in_ms=checked.expires_in_ms,
        kind_known=known is not None,
    )
