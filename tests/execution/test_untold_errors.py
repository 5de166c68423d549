"""What no job has caused is told as if nothing were contained."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from ironforge.execution import isolation


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_is_told_as_the_loop_itself_would(make_loop, caplog):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        isolation.contain_tasks(loop)
        loop.call_exception_handler({"message": "not of a job"})

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    assert [record.message for record in caplog.records] == ["not of a job"]


def test_a_handler_of_exceptions_that_was_there_before_hears_of_them():
    heard: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: heard.append(told))
        isolation.contain_tasks(loop)
        loop.call_exception_handler({"message": "not of a job"})

    asyncio.run(main())
    assert heard == [{"message": "not of a job"}]
