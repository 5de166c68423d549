"""Every function that reads bytes from HTTP, from the server or from another process, and the errors it documents.

A target takes any bytes. What it raises beyond its own errors is a bug, and so is an answer that cannot be sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgpack
import msgspec
import pydantic
from multidict import CIMultiDict, MultiDict

from ironforge.actors.kernel.errors import BadFrame
from ironforge.actors.kernel.frames import decode as decode_frame
from ironforge.api.middleware import REQUEST_ID, request_id_of
from ironforge.api.parsing import batches, bodies, requests, strict_json
from ironforge.api.parsing.strict_json import InvalidJson
from ironforge.api.problems import ApiProblem, explain, respond
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import JobsQuery, NoQuery
from ironforge.client import transport
from ironforge.doctor import clock_finding
from ironforge.errors import IncompatibleRecord, InvalidJob, InvalidPayload
from ironforge.execution.process_frames import HEADER, MAX_FRAME_BYTES, frame_size, read_reply
from ironforge.handlers.binding import binder_of
from ironforge.job.checks import check_idempotency_key, check_run_at
from ironforge.job.record import Job, JobState, decode, encode, new_id, parse_id
from ironforge.job.tracebacks import RemoteFailure
from ironforge.redis.location import Location
from ironforge.redis.server_info import config_of, info_of, number_in, version_of
from ironforge.runtime.parent_pipe import read_status
from ironforge.settings import Settings
from ironforge.store import server_checks
from ironforge.store.consumer.consumer import memory_of
from ironforge.store.consumer.notifications import _parse
from ironforge.store.consumer.quarantine import id_in
from ironforge.store.contract import JobView
from ironforge.store.inspector import job_listing
from ironforge.store.inspector.census import totals_of
from ironforge.store.queue_names import queue_names
from ironforge.store.retention import milliseconds, readable, score_ms, state_at, terminal_record

Target = Callable[[bytes], object]
Errors = tuple[type[Exception], ...]

REFUSALS: Errors = (ApiProblem, InvalidJob, InvalidJson)


class Address(msgspec.Struct, forbid_unknown_fields=True):
    street: str
    number: int = 1


@dataclasses.dataclass
class Parcel:
    to: str
    weight: float = 1.0


class Invoice(pydantic.BaseModel):
    total: float
    lines: list[str] = []


def _whole(address: Address) -> None: ...
def _dataclass(parcel: Parcel) -> None: ...
def _model(invoice: Invoice) -> None: ...
def _anything(payload: Any) -> None: ...
def _fields(to: str, count: int, ratio: float = 0.5, *, where: Address | None = None) -> None: ...
def _nested(parcels: dict[str, list[Parcel]], invoice: Invoice | None = None) -> None: ...


BINDERS = [binder_of(function) for function in (_whole, _dataclass, _model, _anything, _fields, _nested)]


def _text(raw: bytes) -> str:
    """As aiohttp gives headers: bytes that are no UTF-8 come as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def _answered(call: Callable[[], object]) -> None:
    """A refusal must itself be something that can be sent."""
    try:
        call()
    except REFUSALS as error:
        problem = respond(explain(error, "request"), "request")
        assert 400 <= problem.status < 500
        assert msgspec.json.decode(problem.body)["detail"]


def _payload(raw: bytes) -> None:
    for binder in BINDERS:
        with contextlib.suppress(InvalidPayload):
            binder.bind(raw)


def _batch(media_type: str, key: str | None) -> Target:
    return lambda raw: _answered(lambda: list(batches.read_batch(raw, media_type, key)))


def _query(raw: bytes) -> None:
    parts = [part.partition(b"=") for part in raw.split(b"&")]
    # Percent-encoded bytes that are no UTF-8 arrive as replacement characters.
    query = MultiDict((name.decode(errors="replace"), value.decode(errors="replace")) for name, _, value in parts)
    named = MultiDict((name, raw.decode(errors="replace")) for name in ("limit", "state", "kind", "cursor"))
    for given, model in itertools.product((query, named), (JobsQuery, NoQuery)):
        _answered(lambda: requests.read_query(given, model))  # noqa: B023 - called at once


def _headers(raw: bytes) -> None:
    names = ("X-Request-ID", "Content-Type", "Content-Encoding", "Idempotency-Key", "Expect")
    for name in names:
        request = SimpleNamespace(headers=CIMultiDict({name: _text(raw)}))
        assert REQUEST_ID.match(request_id_of(request))
        _answered(lambda: bodies.media_type(request, bodies.JSON))  # noqa: B023 - called at once
    _answered(lambda: requests.read_key([_text(raw)]))
    _answered(lambda: requests.read_id(_text(raw)))


def _cursor(raw: bytes) -> None:
    """Both as it comes and with a checksum that fits: anybody can compute it."""
    with contextlib.suppress(ValueError):
        job_listing._read_cursor(raw.decode("latin-1"))
    forged = job_listing.base64.urlsafe_b64encode(job_listing._checksum(raw) + raw).decode().rstrip("=")
    with contextlib.suppress(ValueError):
        (kind, number, name), (at, offset) = job_listing._read_cursor(forged)
        assert [type(part) for part in (kind, number, name, at, offset)] == [int, int, str, str, int]


def _info(raw: bytes) -> None:
    info = info_of(raw)
    assert all(size >= 0 for size in (*memory_of(raw), *(number_in(info, name) for name in info)))
    version_of(_text(raw))
    server = server_checks.Server(
        {**info, "redis_version": _text(raw), "maxmemory": _text(raw)}, config_of([raw, raw, raw])
    )
    server_checks._refusals(server, Settings(durability="replicated"))
    assert server.number("maxmemory") >= 0


def _signal(raw: bytes) -> None:
    for name in (b"cancel:", b"fenced:", b"due:", b""):
        signal = _parse([b"message", b"channel", name + raw])
        assert signal is None or 0 <= signal.due_ms < 10**15


def _numbers(raw: bytes) -> None:
    names = (b"submitted", b"completed", raw)
    assert all(0 <= count < 2**63 for count in totals_of([part for name in names for part in (name, raw)]).values())
    views.rfc3339(score_ms(raw))


def _remote(raw: bytes) -> None:
    """A server that is not ours, or not well."""
    for status in (200, 302, 400, 404, 409, 413, 422, 503):
        error = transport.refusal(status, raw)
        assert isinstance(str(error), str)
        assert error.status == status
        assert type(error.code) is str
        assert type(error.detail) is str
        with contextlib.suppress(transport.ApiError):
            answer = transport._decode(status, raw)
            for kind in (str, list):
                transport.member(answer, "ids", kind)
    assert 0 < transport._pause_seconds(2, _text(raw)) <= 1.5 * transport.LONGEST_PAUSE_SECONDS


def _frame(raw: bytes) -> None:
    with contextlib.suppress(RemoteFailure):
        read_reply(raw)
    with contextlib.suppress(RemoteFailure):
        header = raw[: HEADER.size].ljust(HEADER.size, b"\xff")
        size = frame_size(header, HEADER.unpack(header)[0])
        assert size is not None
        assert size <= MAX_FRAME_BYTES


def _shown(raw: bytes) -> None:
    """What a record may hold can be put into an answer that others can read."""
    one = Job(1, new_id(), "k", "default", 2, raw, 1, result=raw)
    answer = msgspec.json.encode(views.job_answer(JobView(decode(encode(one)), JobState.QUEUED)))
    assert {"payload", "result"} <= json.loads(answer, parse_int=len).keys()


TARGETS: dict[str, tuple[Target, Errors]] = {
    "job": (decode, (IncompatibleRecord,)),
    "frame": (decode_frame, (BadFrame,)),
    "json": (strict_json.canonical, (InvalidJson,)),
    "location": (Location, ()),
    "signal": (_signal, ()),
    "readable": (readable, ()),
    "terminal record": (lambda raw: terminal_record(raw, Settings()), ()),
    "id in record": (id_in, ()),
    "queue names": (lambda raw: queue_names([raw]), ()),
    "cursor": (_cursor, ()),
    "job id": (lambda raw: parse_id(raw.decode("latin-1")), (ValueError,)),
    "run_at": (lambda raw: check_run_at("run_at", raw.decode("latin-1")), (InvalidJob,)),
    "payload": (_payload, ()),
    "one job": (lambda raw: _answered(lambda: requests.read_job(raw, "key")), ()),
    "array batch": (_batch(bodies.JSON, "key"), ()),
    "line batch": (_batch(bodies.NDJSON, None), ()),
    "query": (_query, ()),
    "headers": (_headers, ()),
    "idempotency key": (lambda raw: check_idempotency_key(_text(raw)), (InvalidJob,)),
    "known job": (state_at, (IncompatibleRecord,)),
    "info": (_info, ()),
    "numbers": (_numbers, ()),
    "child status": (read_status, ()),
    "cpu frame": (_frame, ()),
    "remote answer": (_remote, ()),
    "shown job": (_shown, ()),
    "clock": (lambda raw: clock_finding(milliseconds([str(len(raw)).encode(), b"0"]) / 1000, 0.0), ()),
}

# What breaks readers, each larger than any of them may take time or memory for.
HOSTILE: dict[str, bytes] = {
    "deep array": b"[" * 1_000_000,
    "deep object": b'{"a":' * 200_000,
    "deep msgpack": b"\x91" * 1_000_000,
    "deep field": b'{"kind":"k","payload":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "many digits": b"9" * 1_000_000,
    "digits in a field": b'{"kind":"k","max_retries":' + b"1" * 1_000_000 + b',"to":"x","count":' + b"1" * 9_999 + b"}",
    "exponent": b'{"kind":"k","delay_seconds":1e999999999,"count":1e400,"to":"x"}',
    "not a number": b'{"kind":"k","delay_seconds":NaN,"ratio":-Infinity,"to":"x","count":1}',
    "lone surrogate": b'{"kind":"\\ud800","payload":"\\udfff","to":"\\ud800","count":1}',
    "lone surrogate in a key": b'{"\\ud800":1,"code":"\\ud800"}',
    "not a number under half a pair": b'{"kind":"k","\\ud800":NaN,"payload":{"\\udfff":1e999,"\\udfff":2}}',
    "duplicate keys": b'{"kind":"a","kind":"b","code":[1],"code":{}}',
    "wrong types": b'{"code":[],"detail":{},"index":"x","field":7,"state":[],"job_id":null,"ids":"x","ready":[]}',
    "mark of order": b'\xef\xbb\xbf{"kind":"k"}',
    "zero bytes": b'{"kind":"a\\u0000b","queue":"\\u0000"}\0\0\0',
    "no utf-8": b'{"kind":"\xff\xfe","to":"\xc3\x28","count":1}',
    "huge array header": b"\xdd\xff\xff\xff\xff",
    "huge map header": b"\xdf\xff\xff\xff\xff",
    "huge string header": b"\xdb\xff\xff\xff\xff",
    "extension type": b"\xc7\xff\x00" + b"x" * 255,
    "many lines": b"{}\n" * 300_000,
    "many fields": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "long name": b'{"' + b"k" * 1_000_000 + b'":1}',
    "many quotes": b'"' * 300_001,
    "many backslashes": b'"' + b"\\" * 300_001,
    "brackets in text": b'["' + b"[" * 300_000 + b'"]',
    "deep inside a record": b"\x97\x01\xc4\x01x" + b"\x91" * 300_000,
    "packed numbers": msgpack.packb([2**64 - 1, -(2**63), float("nan"), float("inf")]),
}
