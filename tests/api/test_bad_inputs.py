"""The table of bad inputs: each gets its own clear error, and nothing is stored."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from ironforge.api.parsing import bodies

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
UNKNOWN_ID = "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"


class Case(NamedTuple):
    name: str
    status: int
    code: str
    says: str
    method: str = "POST"
    path: str = "/jobs"
    data: Any = None
    headers: dict[str, str] = JSON


def field(name: str, value: str, status: int, code: str, says: str) -> Case:
    return Case(f"{name}={value[:30]}", status, code, says, data=f'{{"kind":"a","{name}":{value}}}')


def body(name: str, data: str | bytes, code: str, says: str) -> Case:
    return Case(name, 400, code, says, data=data)


def chunked(size: int) -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // 65_536 + 1):
            yield b"x" * 65_536

    return chunks()


LARGE = b'{"kind":"a","payload":"' + b"x" * bodies.MAX_BODY_BYTES + b'"}'

CASES = [
    body("broken JSON", '{"a":', "invalid_json", "line 1, column 6"),
    body("empty body", "", "body_required", "empty"),
    body("white space", "  \n", "body_required", "empty"),
    Case("no media type", 415, "unsupported_media_type", "application/json", data=b"{}", headers={"Content-Type": ""}),
    Case(
        "text", 415, "unsupported_media_type", "send application/json", data=b"{}", headers={"Content-Type": "text/a"}
    ),
    Case(
        "wrong batch media type",
        415,
        "unsupported_media_type",
        "application/json or application/x-ndjson",
        path="/jobs/batch",
        data=b"[]",
        headers={"Content-Type": "text/csv"},
    ),
    Case("too large", 413, "payload_too_large", "1048576 bytes", data=lambda: io.BytesIO(LARGE)),
    Case("too large in chunks", 413, "payload_too_large", "1048576 bytes", data=lambda: chunked(2_000_000)),
    Case(
        "too large batch",
        413,
        "payload_too_large",
        "16777216 bytes",
        path="/jobs/batch",
        data=lambda: chunked(17_000_000),
    ),
    Case(
        "gzip",
        415,
        "content_encoding_not_supported",
        "without Content-Encoding",
        data=gzip.compress(b"{}"),
        headers={**JSON, "Content-Encoding": "gzip"},
    ),
    body("10,000 deep", '{"kind":"a","payload":' + "[" * 10_000 + "]" * 10_000 + "}", "too_deep", "32"),
    field(
        "payload",
        '{"n":' + "9" * 5_000 + "}",
        400,
        "number_out_of_range",
        "payload.n: 99999999999999999999… (5000 digits)",
    ),
    field("payload", "18446744073709551616", 400, "number_out_of_range", "payload"),
    field("payload", "[1e400]", 400, "number_out_of_range", "payload[0]"),
    field("payload", "NaN", 400, "invalid_number", "NaN"),
    field("payload", "-Infinity", 400, "invalid_number", "-Infinity"),
    field("payload", '{"a":1,"a":2}', 400, "duplicate_key", "'a'"),
    field("payload", '"\\ud800"', 400, "invalid_unicode", "payload"),
    body("invalid UTF-8", b'{"kind":"\xff"}', "invalid_unicode", "byte 9"),
    body("NUL in a name", '{"kind":"a\\u0000b"}', "invalid_unicode", "NUL"),
    field("prioritiy", '"high"', 400, "unknown_field", "did you mean `priority`?"),
    Case(
        "nothing known",
        400,
        "invalid_parameter",
        "unknown field `x`: none is known here",
        method="GET",
        path="/nodes?x=1",
    ),
    field("colour", '"red"', 400, "unknown_field", "known are kind, payload"),
    body("no kind", "{}", "missing_field", "`kind` is required"),
    body("not an object", "[]", "invalid_type", "Expected `object`"),
    body("kind with a space", '{"kind":"a b"}', "invalid_kind", "letters"),
    *(
        field("queue", json.dumps(name), 400, "invalid_queue_name", "letters, digits")
        for name in ("a:b", "{x}", "q" * 200, "", "../")
    ),
    field("priority", '"urgent"', 400, "invalid_priority", "critical, high, medium, low"),
    field("priority", "1", 400, "invalid_type", "priority"),
    field("delay_seconds", "-1", 400, "invalid_delay", "0 to 31536000"),
    field("delay_seconds", "315360000", 400, "invalid_delay", "0 to 31536000"),
    field("delay_seconds", '1,"run_at":"2030-01-31T12:00:00Z"', 400, "invalid_delay", "exclude each other"),
    field("run_at", '"2030-01-31T12:00:00"', 400, "timezone_required", "zone"),
    field("run_at", '"tomorrow"', 400, "invalid_type", "2030-01-31T12:00:00Z"),
    field("run_at", '"9999-01-31T12:00:00Z"', 400, "invalid_delay", "365 days"),
    field("max_retries", "-3", 400, "out_of_range", "0 to 1000"),
    field("max_retries", "1000000", 400, "out_of_range", "0 to 1000"),
    field("max_retries", '"3"', 400, "invalid_type", "max_retries"),
    field("timeout_seconds", "0", 400, "out_of_range", "0.001 to 604800"),
    field("retain_seconds", "1e9", 400, "out_of_range", "0 to 604800"),
    *(
        field("expires_in_seconds", number, 400, "out_of_range", "0.001 to 31536000")
        for number in ("0", "-1", "0.0009", "31536000.5", "1e300")
    ),
    field("expires_in_seconds", "NaN", 400, "invalid_number", "NaN"),
    field("expires_in_seconds", "true", 400, "invalid_type", "expires_in_seconds"),
    field("expires_in_seconds", '"60"', 400, "invalid_type", "expires_in_seconds"),
    field("expires_in_seconds", '60,"delay_seconds":60', 422, "invalid_expiry", "would never run"),
    *(field("fairness_key", json.dumps(name), 400, "invalid_fairness_key", "letters") for name in ("a:b", "", "-")),
    field("fairness_weight", "2", 400, "missing_field", "needs a fairness_key"),
    *(field("fairness_weight", f'{n},"fairness_key":"a"', 400, "out_of_range", "1 to 100") for n in (0, 101)),
    *(
        Case(
            f"idempotency key {key[:5]!r}",
            400,
            "invalid_idempotency_key",
            "1 to 255 printable ASCII",
            data='{"kind":"a"}',
            headers={**JSON, "Idempotency-Key": key},
        )
        for key in ("k" * 300, "", "é", "a\tb")
    ),
    Case("malformed job id", 400, "invalid_job_id", "UUIDv7", "GET", "/jobs/17"),
    Case("a UUIDv4", 400, "invalid_job_id", "UUIDv7", "GET", "/jobs/9b2c1d1e-6c0f-4a53-8d0c-1f2e3d4c5b6a"),
    Case("random job id", 404, "job_not_found", UNKNOWN_ID, "GET", f"/jobs/{UNKNOWN_ID}"),
    Case("no such path", 404, "not_found", "/openapi.json", "GET", "/tasks"),
    Case(
        "no such method", 405, "method_not_allowed", "PATCH is not possible here, but GET, HEAD, POST", "PATCH", "/jobs"
    ),
    Case(
        "no such method on a batch",
        405,
        "method_not_allowed",
        "GET is not possible here, but POST",
        "GET",
        "/jobs/batch",
    ),
    Case("empty batch", 400, "empty_batch", "no job", path="/jobs/batch", data="[]"),
    Case("batch without jobs", 400, "missing_field", "`jobs`", path="/jobs/batch", data="{}"),
    Case("batch is a number", 400, "invalid_type", "Expected `array`", path="/jobs/batch", data="1"),
    Case(
        "batch of 10,001",
        413,
        "batch_too_large",
        "10001",
        path="/jobs/batch",
        data=json.dumps([{"kind": "a"}] * 10_001),
    ),
    Case(
        "10,001 lines",
        413,
        "batch_too_large",
        "10001",
        path="/jobs/batch",
        data=b'{"kind":"a"}\n' * 10_001,
        headers=NDJSON,
    ),
    Case("broken line", 400, "invalid_json", "job 1 of", path="/jobs/batch", data='{"kind":"a"}\n{"k', headers=NDJSON),
    Case("bad item", 400, "invalid_type", "job 1 of", path="/jobs/batch", data='[{"kind":"a"},{"kind":1}]'),
    Case("bad nested item", 400, "unknown_field", "job 0 of", path="/jobs/batch", data='{"jobs":[{"kind":"a","x":1}]}'),
    Case(
        "retry body",
        400,
        "invalid_type",
        "reset_retry_count",
        path=f"/jobs/{UNKNOWN_ID}/retry",
        data='{"reset_retry_count":1}',
    ),
    *(
        Case(f"?{query}", 400, "invalid_parameter", says, "GET", f"/jobs?{query}")
        for query, says in (
            ("limit=-1", "1 to 500"),
            ("limit=0", "1 to 500"),
            ("limit=1e9", "1 to 500"),
            ("limit=many", "limit"),
            ("days=99999999", "`days`"),
            ("cursor=tampered", "cursor"),
            ("state=done", "one of scheduled, queued, running, waiting, completed, cancelled, dead"),
            ("state=null", "state"),
            ("limit=1&limit=2", "twice"),
            ("kind=a:b", "kind"),
            ("stat=dead", "did you mean `state`?"),
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_bad_input_gets_its_clear_error(api: Any, case: Case) -> None:
    data = case.data() if callable(case.data) else case.data
    answer = await api.call(case.method, case.path, data=data, headers=case.headers)

    assert answer.status == case.status, answer.body
    assert answer.code == case.code, answer.body
    assert case.says in answer.body["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["type"] == f"urn:ironforge:problem:{case.code}"
    assert answer.body["status"] == case.status
    assert answer.body["request_id"] == answer.headers["X-Request-ID"]
    assert (await api.call("GET", "/jobs")).body["jobs"] == []


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 20_480 + b"\r\n\r\n", b"could not be read"),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: 1\r\n" * 1_000 + b"\r\n", b"could not be read"),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Split: a\rb\r\n\r\n", b"could not be read"),
        (b"\x16\x03\x01 not HTTP\r\n\r\n", b"could not be read"),
    ],
    ids=["20 KiB header", "1,000 headers", "CR in a header", "not HTTP"],
)
async def test_a_request_that_is_not_http_gets_a_problem_and_is_cut_off(api: Any, head: bytes, says: bytes) -> None:
    answer = await api.send_raw(head)

    assert answer.split(b"\r\n")[0][8:] == b" 400 Bad Request"
    assert b"application/problem+json" in answer
    assert b'"code":"malformed_request"' in answer
    assert says in answer


@pytest.mark.parametrize("given", ["<script>", "a b", "x" * 65, ""])
async def test_a_harmful_request_id_is_replaced(api: Any, given: str) -> None:
    answer = await api.call("GET", "/nowhere", headers={"X-Request-ID": given})

    assert given != answer.headers["X-Request-ID"]
    assert answer.body["request_id"] == answer.headers["X-Request-ID"]


async def test_a_harmless_request_id_is_echoed(api: Any) -> None:
    answers = [await api.call("GET", path, headers={"X-Request-ID": "a-1.b_2"}) for path in ("/livez", "/nowhere")]

    assert [answer.headers["X-Request-ID"] for answer in answers] == ["a-1.b_2"] * 2


async def test_a_body_that_does_not_arrive_in_time_is_given_up(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    answer = await reader.readuntil(b"}")
    writer.close()

    assert answer[:12] == b"HTTP/1.1 408"
    assert b'"code":"body_timeout"' in answer


async def test_a_body_with_broken_chunks_is_refused(api: Any) -> None:
    answer = await api.send_raw(
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    )

    assert answer.split(b"\r\n")[0][8:] == b" 400 Bad Request"
    assert b"application/problem+json" in answer


async def test_a_caller_that_leaves_in_the_middle_is_no_fault(api: Any, capfd: pytest.CaptureFixture[str]) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"
    )
    await api.until(lambda: api.server.requests_count == 1)
    writer.close()
    await api.until(lambda: not api.server.connections)

    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
