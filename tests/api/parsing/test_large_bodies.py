"""Large bodies take their place in a bounded room, and leave others their turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from ironforge.api.parsing import bodies, large_bodies
from ironforge.api.parsing.large_bodies import CALLER_OF, LargeBodies, Room
from ironforge.api.problems import ApiProblem, respond
from ironforge.auth.caller import Caller

PROCESS, CALLER = (limit for _, _, limit in reversed(large_bodies._LIMITS))
JSON = {"Content-Type": "application/json"}
LARGE = json.dumps({"kind": "demo.echo", "payload": "x" * 200_000}).encode()


def request_of(name: str | None) -> Any:
    caller = None if name is None else Caller("team", frozenset(), name)
    return SimpleNamespace(get={CALLER_OF: caller}.get)


def refused(room: Room, size: int) -> int:
    with pytest.raises(ApiProblem) as caught:
        room.take(size)
    assert respond(caught.value, "id").headers["Retry-After"] == "1"
    assert caught.value.code == "too_many_large_bodies"
    return caught.value.status


def test_one_caller_cannot_take_all_the_room() -> None:
    large = LargeBodies()
    with large.room(request_of("a")) as first, large.room(request_of("a")) as second:
        first.take(CALLER)
        assert refused(second, 1) == 429
        with large.room(request_of("b")) as other, large.room(request_of("c")) as third:
            other.take(CALLER)
            assert refused(third, PROCESS - 2 * CALLER + 1) == 503


def test_without_authentication_only_the_process_has_a_limit() -> None:
    large = LargeBodies()
    with large.room(request_of(None)) as room:
        room.take(PROCESS)
        assert refused(room, 1) == 503


def test_room_is_free_again_at_the_end_of_each_body() -> None:
    large = LargeBodies()
    for _ in range(3):
        with large.room(request_of("a")) as room:
            room.take(CALLER)

    assert large._held == {}


def test_a_check_takes_nothing() -> None:
    large = LargeBodies()
    with large.room(request_of("a")) as room:
        room.check(CALLER)
        room.check(CALLER)
        room.take(CALLER)


async def test_others_have_their_turn_between_the_steps_of_one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "SLICE_SECONDS", 1e-9)
    large, order = LargeBodies(), []

    def steps(name: str) -> Generator[None, None, str]:
        for number in range(3):
            order.append(f"{name}{number}")
            yield
        return name

    async def others() -> None:
        for _ in range(3):
            order.append("-")
            await asyncio.sleep(0)

    outcomes = await asyncio.gather(large.in_turns(steps("a")), large.in_turns(steps("b")), others())

    assert outcomes == ["a", "b", None]
    assert [step for step in order if step != "-"] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert set(order[order.index("a0") + 1 : order.index("a1")]) == {"-"}
    assert set(order[order.index("a1") + 1 : order.index("a2")]) == {"-"}


async def test_work_that_lasts_leaves_others_as_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "EAGER_SECONDS", 0.0)

    def steps() -> Generator[None, None, int]:
        yield
        return 1

    assert await LargeBodies().in_turns(steps()) == 1


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
async def test_a_large_body_without_room_is_refused_before_it_is_read(
    api: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = LARGE if path == "/jobs" else b"[" + LARGE + b"]"
    monkeypatch.setattr(large_bodies, "_LIMITS", ((429, "", 0), (503, "the bodies", len(LARGE) - 1)))
    refused = await api.call("POST", path, data=body, headers=JSON)
    small = await api.call("POST", "/jobs", json={"kind": "demo.echo"})

    assert refused.status == 503
    assert refused.code == "too_many_large_bodies"
    assert refused.headers["Retry-After"] == "1"
    assert small.status == 201


@pytest.mark.parametrize("size", [100, 200_000])
async def test_a_body_in_chunks_takes_its_room_as_it_arrives(
    api: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_bodies, "_LIMITS", ((429, "", 0), (503, "the bodies", 100_000)))

    async def chunks() -> Any:
        yield b'{"kind":"demo.echo","payload":"'
        for _ in range(0, size, 100):
            yield b"x" * 100
        yield b'"}'

    answer = await api.call("POST", "/jobs", data=chunks(), headers=JSON)

    assert answer.status == (201 if size == 100 else 503)


async def test_what_is_no_job_may_be_no_large_body(api: Any) -> None:
    path = "/jobs/0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50/retry"
    answer = await api.call("POST", path, data=b" " * (bodies.SMALL_BYTES + 1), headers=JSON)

    assert answer.status == 413
    assert answer.code == "payload_too_large"
