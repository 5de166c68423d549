"""Events over HTTP: the first one of a name stays, and names are taken as they are or refused clearly."""

from __future__ import annotations

import asyncio
import io
from typing import Any
from urllib.parse import quote

import pytest

RULE = "give 1 to 200 printable characters without spaces, such as approved:42"


async def send(api: Any, name: str, **fields: Any) -> Any:
    return await api.call("POST", f"/events/{name}", json=fields)


async def test_the_first_one_stays_and_is_shown(api: Any) -> None:
    first = await send(api, "approved:42", payload={"by": "ada", "n": 12345678901234567890.5})
    assert (first.status, first.body) == (201, {"name": "approved:42", "first": True})
    second = await send(api, "approved:42", payload={"by": "bob"})
    assert (second.status, second.body) == (200, {"name": "approved:42", "first": False})
    shown = await api.call("GET", "/events/approved:42")
    assert (shown.status, shown.body["payload"]["by"]) == (200, "ada")


async def test_a_payload_stays_byte_for_byte(api: Any) -> None:
    body = b'{"payload": {"price": 1.10, "id": 9007199254740993}}'
    sent = await api.call("POST", "/events/paid", data=body, headers={"Content-Type": "application/json"})
    assert sent.status == 201
    raw = await api.send_raw(b"GET /events/paid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b'"payload":{"price": 1.10, "id": 9007199254740993}' in raw


async def test_of_many_at_once_one_is_the_first(api: Any) -> None:
    answers = await asyncio.gather(*(send(api, "race", payload=number) for number in range(20)))
    winners = [number for number, answer in enumerate(answers) if answer.body["first"]]
    assert len(winners) == 1
    assert (await api.call("GET", "/events/race")).body["payload"] == winners[0]


async def test_a_body_may_be_left_out(api: Any) -> None:
    sent = await api.call("POST", "/events/go")
    assert sent.status == 201
    assert (await api.call("GET", "/events/go")).body["payload"] is None


async def test_it_is_kept_for_as_long_as_was_asked(api: Any) -> None:
    for name, fields, seconds in (("day", {}, 86_400), ("minute", {"keep_seconds": 60}, 60)):
        sent_at = (await api.call("GET", "/queues/stats")).body["at"]
        await send(api, name, **fields)
        until = (await api.call("GET", f"/events/{name}")).body["kept_until"]
        assert seconds - 5 < _seconds_between(sent_at, until) < seconds + 60


def _seconds_between(start: str, end: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


async def test_one_that_was_not_sent_is_not_there(api: Any) -> None:
    answer = await api.call("GET", "/events/never")
    assert (answer.status, answer.code) == (404, "event_not_found")
    assert answer.body["detail"] == "there is no event never: it was not sent, or it is not kept any more"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a" * 200,
        "orders/42/approved",
        "%2F",
        "100%",
        "a?b#c",
        "a+b&c=d",
        "{x}",
        "…",
        "grün",
        "a@b.c",
        "~'\"",
        ".a",
        "...",
    ],
)
async def test_a_name_is_taken_as_it_is_written(api: Any, name: str) -> None:
    path = f"/events/{quote(name, safe='')}"
    sent = await api.call("POST", path, json={"payload": 1})
    assert (sent.status, sent.body["name"]) == (201, name)
    assert (await api.call("GET", path)).body["name"] == name


@pytest.mark.parametrize("name", ["a b", "a\n", "\0", "\x1b[31m", "a\u202eb", "\u2028", "a" * 201, "\xa0"])
async def test_an_odd_name_is_refused(api: Any, name: str) -> None:
    for method in ("POST", "GET"):
        answer = await api.call(method, f"/events/{quote(name, safe='')}")
        assert (answer.status, answer.code) == (400, "invalid_event")
        assert (answer.body["field"], answer.body["hint"]) == ("name", RULE)


@pytest.mark.parametrize("path", ["/events/a/b", "/events//a", "/events/a/"])
async def test_a_slash_says_how_it_is_written(api: Any, path: str) -> None:
    answer = await api.call("POST", path)
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_event", "name")
    assert answer.body["hint"] == "write %2F for each / in the name"


@pytest.mark.parametrize("path", ["/events/%2E", "/events/%2e%2E", "/events/."])
async def test_a_dot_is_no_name(api: Any, path: str) -> None:
    request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert (await api.send_raw(request.encode())).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"payload": "x" * 65_535}, 413, "payload_too_large", "payload"),
        ({"keep_seconds": 0}, 400, "out_of_range", "keep_seconds"),
        ({"keep_seconds": 0.5}, 400, "out_of_range", "keep_seconds"),
        ({"keep_seconds": 31_536_001}, 400, "out_of_range", "keep_seconds"),
        ({"keep_seconds": "1"}, 400, "invalid_type", "keep_seconds"),
        ({"keep_seconds": True}, 400, "invalid_type", "keep_seconds"),
        ({"keep_seconds": None}, 400, "invalid_type", "keep_seconds"),
        ({"paylod": 1}, 400, "unknown_field", "paylod"),
        ([], 400, "invalid_type", None),
    ],
)
async def test_what_makes_no_event_is_refused(api: Any, body: Any, status: int, code: str, field: str | None) -> None:
    answer = await api.call("POST", "/events/odd", json=body)
    assert (answer.status, answer.code, answer.body.get("field")) == (status, code, field)
    assert (await api.call("GET", "/events/odd")).status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"payload": NaN}', "invalid_number"),
        (b'{"payload": {"a": 1, "a": 2}}', "duplicate_key"),
        (b'{"payload": "\xff"}', "invalid_unicode"),
        (b'{"payload": ' + b"[" * 40 + b"]" * 40 + b"}", "too_deep"),
    ],
)
async def test_what_is_no_json_is_refused(api: Any, body: bytes, code: str) -> None:
    answer = await api.call("POST", "/events/odd", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, code)


async def test_the_largest_payload_is_taken(api: Any) -> None:
    assert (await send(api, "large", payload="x" * 65_534)).status == 201
    body = io.BytesIO(b'{"payload": "%b"}' % (b"x" * 1_100_000))
    too_large = await api.call("POST", "/events/larger", data=body, headers={"Content-Type": "application/json"})
    assert (too_large.status, too_large.code) == (413, "payload_too_large")


async def test_other_methods_and_types_are_refused(api: Any) -> None:
    assert (await api.call("DELETE", "/events/a")).status == 405
    assert (await api.call("POST", "/events/a", data={"payload": "1"})).status == 415
    assert (await api.call("POST", "/events/a?keep=1")).code == "invalid_parameter"
    assert (await api.call("POST", "/events")).status == 404
