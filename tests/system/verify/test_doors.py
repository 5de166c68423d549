"""The verification finds bugs that are planted on the submitting side, which is this process and not a node."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected

from ironforge.redis.scripts import CANCEL, SUBMIT, SUBMIT_NEWER, Script
from ironforge.settings import load
from ironforge.store.producer import group_commit
from ironforge.verify import verdict as promises
from ironforge.verify.load import Plan
from ironforge.verify.run import verify
from tests.support.servers import valkey

pytestmark = pytest.mark.proof

PLAN = Plan(seed=1, seconds=1.5, rate=200, nodes=1, pause_seconds=0, drain_seconds=5.0)
Plant = Callable[[pytest.MonkeyPatch], None]


def without(planted: pytest.MonkeyPatch, script: Script, *lines: str) -> None:
    text = script.text
    for line in lines:
        assert line in text
        text = text.replace(line, "")
    planted.setattr(script, "text", text)
    planted.setattr(script, "by_hash", script.by_text)


def lose_answers(planted: pytest.MonkeyPatch) -> None:
    """No bug but a bad network: every third answer to a submission is lost."""
    send = group_commit.GroupCommit._send
    turn = itertools.count(1)

    async def broken(self: Any, calls: Any) -> Any:
        replies = await send(self, calls)
        if not next(turn) % 3:
            raise Disconnected("the answer was lost")
        return replies

    planted.setattr(group_commit.GroupCommit, "_send", broken)


def submit_again_blindly(planted: pytest.MonkeyPatch) -> None:
    """What got no answer is sent again as it was, and nobody looks whether it is there already."""
    lose_answers(planted)
    for script in (SUBMIT, SUBMIT_NEWER):
        without(planted, script, "known[at] = true\n        answer(at, id, where, 1)")


def forget_the_key(planted: pytest.MonkeyPatch) -> None:
    """The job is stored, and its idempotency key is gone before it is used again."""
    for script in (SUBMIT, SUBMIT_NEWER):
        without(planted, script, "redis.call('SET', KEYS[key], table.concat(jobs), 'EX', seconds)")


def cancel_in_words_only(planted: pytest.MonkeyPatch) -> None:
    """The answer says cancelled, and the job stays in the schedule."""
    taken_away = (
        "if redis.call('ZREM', scheduled, id) == 1 then delay(delayed, location, -1) end",
        "redis.call('HDEL', parked, id)",
        "redis.call('HDEL', index, id)",
    )
    without(planted, CANCEL, *taken_away)


async def found(monkeypatch: pytest.MonkeyPatch, plant: Plant) -> set[str]:
    with valkey() as url, monkeypatch.context() as planted:
        plant(planted)
        settings = load({}, redis_url=url, lease_seconds=1.0, concurrency=32)
        verdict = await verify(settings, PLAN, say=lambda _: None)
    return {violation.promise for violation in verdict.violations}


async def is_found(monkeypatch: pytest.MonkeyPatch, plant: Plant, promise: str) -> bool:
    """In one of some runs: where machines are slow, not every one meets it."""
    for _ in range(4):
        if promise in await found(monkeypatch, plant):
            return True
    return False


async def test_lost_answers_break_no_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await found(monkeypatch, lose_answers) == set()


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("plant", "promise"),
    [
        (submit_again_blindly, promises.FENCE),
        (forget_the_key, promises.KEY),
        (cancel_in_words_only, promises.CANCEL),
    ],
)
async def test_a_bug_of_the_submitting_side_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, promise: str
) -> None:
    assert await is_found(monkeypatch, plant, promise)
