"""Supervisors: order of start and stop, strategies, budgets, dynamic children."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.actors.kernel import (
    Actor,
    ActorError,
    ActorFailed,
    Exit,
    Restart,
    RestartBudget,
    RestartsExceeded,
    Strategy,
    Supervisor,
)
from tests.actors.kernel.kit import (
    Become,
    Boom,
    Boss,
    Do,
    Puppet,
    boss,
    crash,
    echo,
    is_dead,
    number,
    settle,
    spec,
    until,
)


def diary(log: list[Any], name: str):
    """A puppet that notes its starts and stops with its name."""

    def make() -> Puppet:
        return Puppet(started=lambda _: log.append(f"+{name}"), stopped=lambda _: log.append(f"-{name}"))

    return make


def trio(log: list[Any], restart: Restart = Restart.PERMANENT):
    return [spec(name, diary(log, name), restart) for name in "abc"]


async def test_a_bare_supervisor_has_no_children_and_stops(system):
    ref = await system.spawn(spec("node", Supervisor))
    ref.stop()
    assert await system.wait(ref) is Exit.NORMAL


async def test_children_start_left_to_right_and_stop_right_to_left(system):
    log: list[Any] = []
    ref = await system.spawn(boss("node", *trio(log)))
    assert system.alive() == ["node", "node/a", "node/b", "node/c"]
    ref.stop()
    assert await system.wait(ref) is Exit.NORMAL
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_children_are_running_when_the_supervisor_itself_starts(system):
    seen: list[Any] = []

    class Late(Boss):
        async def started(self) -> None:
            seen.append(await echo(self.system.ref("node/a")))

    await system.spawn(spec("node", lambda: Late([spec("a")])))
    assert seen == ["hello"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["-b", "+b"]),
        (Strategy.REST_FOR_ONE, ["-b", "-c", "+b", "+c"]),
        (Strategy.ONE_FOR_ALL, ["-b", "-c", "-a", "+a", "+b", "+c"]),
    ],
)
async def test_a_failure_restarts_whom_the_strategy_names(system, strategy, expected):
    log: list[Any] = []
    await system.spawn(boss("node", *trio(log), strategy=strategy))
    log.clear()
    await crash(system, "node/b")
    await until(lambda: len(log) == len(expected), "the restarts")
    await settle()
    assert log == expected


async def test_a_temporary_child_falls_with_its_siblings_but_does_not_come_back(system):
    log: list[Any] = []
    children = [spec("a", diary(log, "a")), spec("t", diary(log, "t"), Restart.TEMPORARY)]
    await system.spawn(boss("node", *children, strategy=Strategy.ONE_FOR_ALL))
    await crash(system, "node/a")
    await until(lambda: log[-1] == "+a" and len(log) == 5, "the restart")
    assert log == ["+a", "+t", "-a", "-t", "+a"]
    assert await is_dead(system.ref("node/t"))


@pytest.mark.parametrize(
    ("restart", "order", "comes_back"),
    [
        (Restart.PERMANENT, "stop", True),
        (Restart.PERMANENT, "crash", True),
        (Restart.TRANSIENT, "stop", False),
        (Restart.TRANSIENT, "crash", True),
        (Restart.TEMPORARY, "stop", False),
        (Restart.TEMPORARY, "crash", False),
    ],
)
async def test_a_child_comes_back_as_its_spec_says(system, restart, order, comes_back):
    await system.spawn(boss("node", spec("a", lambda: Puppet(stop=Puppet.stop_self), restart)))
    await system.ref("node/a").tell(Do(order))
    await until(lambda: "node/a" not in system.cells or number(system, "node/a") == 3, "the decision")
    assert ("node/a" in system.cells) is comes_back


async def test_a_finished_sibling_is_not_revived_by_a_group_restart_in_the_same_turn(system):
    log: list[Any] = []
    steps = {"quit": Puppet.stop_self, "stopped": lambda _: log.append("quit")}
    finished = spec("done", lambda: Puppet(**steps), Restart.TRANSIENT)
    await system.spawn(boss("node", *trio(log), finished, strategy=Strategy.ONE_FOR_ALL))
    log.clear()
    system.ref("node/a").try_tell(Do("crash"))
    system.ref("node/done").try_tell(Do("quit"))
    await until(lambda: log[-1:] == ["+c"], "the restart")
    assert await is_dead(system.ref("node/done"))


async def test_two_failures_of_one_group_in_the_same_turn_cost_one_restart(system):
    log: list[Any] = []
    budget = RestartBudget(1, 5.0)
    await system.spawn(boss("node", *trio(log), strategy=Strategy.ONE_FOR_ALL, budget=budget))
    for name in "ab":
        system.ref(f"node/{name}").try_tell(Do("crash"))
    await until(lambda: log.count("+c") == 2, "the restart")
    await settle()
    assert [log.count(f"+{name}") for name in "abc"] == [2, 2, 2]


async def test_a_spent_budget_stops_the_children_and_escalates(system, caplog):
    log: list[Any] = []
    sub = boss("sub", *trio(log), budget=RestartBudget(0, 5.0))
    await system.spawn(boss("node", sub))
    watcher_log: list[Any] = []
    watcher = await system.spawn(spec("w", lambda: Puppet(watcher_log)))
    system.monitor(watcher, system.ref("node/sub"))
    await crash(system, "node/sub/b")
    await until(lambda: len(log) == 9, "the restart of the subtree")
    assert log == ["+a", "+b", "+c", "-b", "-c", "-a", "+a", "+b", "+c"]
    down = watcher_log[-1]
    assert down.address == "node/sub"
    assert down.exit == Exit.FAILED
    assert isinstance(down.error, RestartsExceeded)
    assert "node/sub: more than 0 restarts in 5.0 s, the last one of node/sub/b" in caplog.text


async def test_a_budget_recovers_with_time(system, clock):
    ref = await system.spawn(boss("node", spec("a"), budget=RestartBudget(1, 5.0)))
    for _ in range(3):
        await crash(system, "node/a")
        assert await echo(system.ref("node/a")) == "hello"
        await clock.advance(5.1)
    await crash(system, "node/a")
    await crash(system, "node/a")
    assert await system.wait(ref) is Exit.FAILED


async def test_a_restart_that_fails_on_a_sibling_goes_on_from_there(system):
    log: list[Any] = []
    starts: list[int] = []

    def fail_second_time(_: Puppet) -> None:
        starts.append(1)
        if len(starts) == 2:
            raise Boom

    children = [
        spec("a", diary(log, "a")),
        spec("b", lambda: Puppet(started=fail_second_time)),
        spec("c", diary(log, "c"), Restart.TRANSIENT),
    ]
    await system.spawn(boss("node", *children, strategy=Strategy.REST_FOR_ONE))
    await crash(system, "node/a")
    await until(lambda: log.count("+c") == 2, "the restart")
    assert len(starts) == 3
    assert log == ["+a", "+c", "-a", "-c", "+a", "+c"]


async def test_children_come_and_go_while_it_runs(system):
    log: list[Any] = []
    extra = spec("x", diary(log, "x"))
    node = await system.spawn(boss("node", *trio(log), x=extra))

    async def become(verb: str, child: str) -> Any:
        return await node.ask(Become(verb, child), timeout_seconds=5)

    assert await become("start", "x") == "node/x"
    assert await echo(system.ref("node/x")) == "hello"
    assert await become("stop", "x") == "x"
    assert await is_dead(system.ref("node/x"))
    await settle()
    assert await become("start", "x") == "node/x"
    await become("stop", "b")
    node.stop()
    await system.wait(node)
    assert log == ["+a", "+b", "+c", "+x", "-x", "+x", "-b", "-x", "-c", "-a"]


@pytest.mark.parametrize(("verb", "child", "text"), [("stop", "z", "no child 'z'"), ("start", "a", "is taken")])
async def test_an_impossible_change_of_children_is_a_crash_like_any_other(system, verb, child, text):
    node = await system.spawn(boss("node", spec("a"), a=spec("a")))
    with pytest.raises(ActorFailed, match=text):
        await node.ask(Become(verb, child), timeout_seconds=5)
    assert await system.wait(node) is Exit.FAILED


async def test_only_a_handler_of_the_supervisor_may_change_its_children(system):
    await system.spawn(boss("node", spec("a")))
    supervisor = system.cells["node"].life.actor
    with pytest.raises(ActorError, match="send it a message"):
        await supervisor.start_child(spec("b"))
    with pytest.raises(ActorError, match="send it a message"):
        await supervisor.stop_child("a")


async def test_a_supervisor_hears_of_strangers_it_monitors(system):
    log: list[Any] = []
    node = await system.spawn(boss("node", spec("a"), log=log))
    stranger = await system.spawn(spec("stranger"))
    system.monitor(node, stranger)
    await crash(system, "node/a")
    stranger.stop()
    await until(lambda: log, "the Down")
    assert [down.address for down in log] == ["stranger"]


async def test_a_child_that_misses_its_deadline_is_killed(system):
    log: list[Any] = []
    slow = spec("a", lambda: Puppet(log, hold=lambda _: asyncio.Event().wait()), shutdown_seconds=0.01)
    node = await system.spawn(boss("node", slow))
    await system.ref("node/a").tell(Do("hold"))
    await settle()
    node.stop()
    assert await system.wait(node) is Exit.NORMAL
    assert log == ["started", ("stopped", Exit.KILLED)]


async def test_a_child_killed_while_it_starts_takes_nobody_along(system):
    gate = asyncio.Event()
    hang = spec("x", lambda: Puppet(started=lambda _: gate.wait()))
    node = await system.spawn(boss("node", boss("sub", spec("a"), x=hang)))
    await system.ref("node/sub").tell(Become("start", "x"))
    await until(lambda: "node/sub/x" in system.cells, "the start")
    system.cells["node/sub"].life.task.cancel()
    await until(lambda: number(system, "node/sub") > 4 and "node/sub/a" in system.cells, "the restart")
    assert "node/sub/x" not in system.cells
    assert await echo(system.ref("node/sub/a")) == "hello"
    node.stop()


async def test_an_actor_that_is_no_supervisor_may_have_children_but_not_restart_them(system):
    log: list[Any] = []

    async def begin(me: Puppet) -> None:
        await me.system.spawn(spec("child", diary(log, "child")), me.ref)

    ref = await system.spawn(spec("a", lambda: Puppet(started=begin)))
    assert system.alive() == ["a", "a/child"]
    await crash(system, "a/child")
    assert await is_dead(system.ref("a/child"))
    assert await echo(ref) == "hello"
    assert log == ["+child", "-child"]


def test_the_base_class_of_actors_supervises_nobody():
    assert not Actor.supervises
    assert Supervisor.supervises
