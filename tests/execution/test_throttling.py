"""What a handler says of the limits of its job, as the executor reads it."""

from __future__ import annotations

import pytest

from ironforge.errors import Throttled
from ironforge.execution.executor import Ending
from ironforge.job.limits import LimitUse, throttled_mark
from tests.execution.kit import last_error, run


@pytest.mark.parametrize("raised", [True, False])
async def test_a_job_whose_target_throttles_spends_no_attempt(executor_of, raised):
    async def handler() -> Throttled:
        if raised:
            raise Throttled("stripe", 30)
        return Throttled("stripe", 30)

    outcome = await run(executor_of(handler), limits=(LimitUse("llm", "a"), LimitUse("stripe", "b")))
    assert (outcome.ending, outcome.delay_ms, outcome.job.attempt) == (Ending.SNOOZED, 30_000, 0)
    assert outcome.throttled == throttled_mark({LimitUse("stripe", "b"): 30_000})


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 31_536_001, "30", True, None])
async def test_a_throttling_that_is_none_fails_the_attempt(executor_of, seconds):
    async def handler() -> None:
        raise Throttled("stripe", seconds)

    error = last_error(await run(executor_of(handler), limits=(LimitUse("stripe"),)))
    assert error.type == "ValueError"
    assert error.message.startswith("seconds of Throttled ")


@pytest.mark.parametrize(
    ("uses", "known"), [((), "none"), ((LimitUse("stripe", "a"), LimitUse("llm", "a")), "stripe, llm")]
)
async def test_throttling_a_limit_that_the_job_does_not_use_fails_the_attempt(executor_of, uses, known):
    async def handler() -> None:
        raise Throttled("strip", 30)

    outcome = await run(executor_of(handler), limits=uses)
    assert outcome.ending is Ending.FAILED
    assert last_error(outcome).type == "LimitNotFound"
    assert last_error(outcome).message == f"this job uses no limit 'strip': it uses {known}"


async def test_a_group_that_throttles_stops_each_key_for_the_longest(executor_of):
    async def handler() -> None:
        raise ExceptionGroup("all", [Throttled("stripe", 1), Throttled("llm", 2), Throttled("stripe", 3)])

    outcome = await run(executor_of(handler), limits=(LimitUse("stripe", "a"), LimitUse("llm", "a")))
    assert (outcome.ending, outcome.delay_ms) == (Ending.SNOOZED, 3_000)
    assert outcome.throttled == throttled_mark({LimitUse("stripe", "a"): 3_000, LimitUse("llm", "a"): 2_000})
