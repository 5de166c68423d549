"""An actor whose ground was taken away begins anew, and nobody is to blame."""

from __future__ import annotations

from typing import Any

from ironforge.actors.kernel import BeginAnew, Exit, RestartBudget, Strategy
from tests.actors.kernel.kit import Do, Puppet, boss, crash, echo, spec, until


async def test_beginning_anew_takes_the_siblings_along_and_costs_no_budget(system, caplog):
    log: list[Any] = []

    def over(_: Puppet) -> None:
        raise BeginAnew("the world has changed")

    children = [spec("a", lambda: Puppet(started=lambda _: log.append("+a"))), spec("b", lambda: Puppet(over=over))]
    ref = await system.spawn(
        boss("node", *children, strategy=Strategy.ONE_FOR_ALL, budget=RestartBudget(1, 1_000_000.0))
    )
    for turn in range(2, 6):
        await system.ref("node/b").tell(Do("over"))
        await until(lambda: log.count("+a") == turn, "the sibling to begin anew as well")  # noqa: B023
        assert await echo(system.ref("node/b")) == "hello"
    assert "node/b: begins anew: the world has changed" in caplog.text
    assert "crashed" not in caplog.text

    await crash(system, "node/a")
    assert await echo(system.ref("node/b")) == "hello"
    await crash(system, "node/a")
    assert await system.wait(ref) is Exit.FAILED


async def test_who_has_to_begin_anew_while_it_starts_is_started_again(system):
    starts: list[int] = []

    def hesitate(_: Puppet) -> None:
        starts.append(1)
        if 1 < len(starts) < 6:
            raise BeginAnew("not yet")

    await system.spawn(boss("node", spec("a", lambda: Puppet(started=hesitate)), budget=RestartBudget(1, 1_000_000.0)))
    await crash(system, "node/a")
    assert await echo(system.ref("node/a")) == "hello"
    assert len(starts) == 6
