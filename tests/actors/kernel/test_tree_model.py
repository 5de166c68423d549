"""Random supervision trees against a pure model of who lives, in which incarnation.

The model does in a few recursive lines what the kernel does with tasks and signals; every step waits until the
real tree has reached what the model foretells, and then makes sure that it stays there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ironforge.actors.kernel import (
    ActorSystem,
    ChildSpec,
    Exit,
    ManualClock,
    Restart,
    RestartBudget,
    Strategy,
    should_restart,
)
from tests.actors.kernel.kit import Become, Do, Puppet, boss, settle, spec, until


@dataclass
class Plan:
    """A tree as drawn: a supervisor when it has a strategy, else a leaf."""

    name: str
    restart: Restart
    strategy: Strategy | None = None
    budget: RestartBudget = field(default_factory=RestartBudget)
    children: list[Plan] = field(default_factory=list)

    def spec(self) -> ChildSpec:
        if self.strategy is None:
            return spec(self.name, lambda: Puppet(stop=Puppet.stop_self), self.restart)
        children = [child.spec() for child in self.children]
        return boss(self.name, *children, strategy=self.strategy, budget=self.budget, restart=self.restart)


class Node:
    """One living actor of the model."""

    def __init__(self, model: Model, plan: Plan, parent: Node | None) -> None:
        self.plan, self.parent = plan, parent
        self.address = f"{parent.address}/{plan.name}" if parent else plan.name
        self.model = model
        self.start()

    def start(self) -> None:
        self.number = self.model.next_number()
        self.history: tuple[float, ...] = ()
        self.children: dict[str, Node] = {}
        for child in self.plan.children:
            self.children[child.name] = Node(self.model, child, self)

    def living(self) -> dict[str, int]:
        found = {self.address: self.number}
        for child in self.children.values():
            found |= child.living()
        return found

    def ended(self, why: Exit) -> None:
        """What the parent makes of the end of this actor."""
        parent = self.parent
        if parent is None:
            self.model.root = None
        elif not should_restart(self.plan.restart, why):
            del parent.children[self.plan.name]
        else:
            parent.recover(self.plan.name)

    def recover(self, failed: str) -> None:
        self.history, is_exceeded = self.plan.budget.spend(self.history, self.model.now)
        if is_exceeded:
            self.ended(Exit.FAILED)
            return
        for name in self.plan.strategy.fallen(tuple(self.children), failed):
            if self.children[name].plan.restart is Restart.TEMPORARY:
                del self.children[name]
            else:
                self.children[name].start()


class Model:
    """The pure tree."""

    def __init__(self, plan: Plan) -> None:
        self.now = 0.0
        self._number = 0
        self.root: Node | None = Node(self, plan, None)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def living(self) -> dict[str, int]:
        return self.root.living() if self.root else {}

    def find(self, address: str) -> Node:
        node = self.root
        for name in address.split("/")[1:]:
            node = node.children[name]
        return node


restarts = st.sampled_from(Restart)
names = st.integers(1, 3).map(lambda count: [f"c{index}" for index in range(count)])


@st.composite
def plans(draw: Any, depth: int = 2, name: str = "node") -> Plan:
    if depth == 0 or (name != "node" and draw(st.booleans())):
        return Plan(name, draw(restarts))
    return Plan(
        name,
        draw(restarts),
        draw(st.sampled_from(Strategy)),
        RestartBudget(draw(st.integers(0, 4)), 5.0),
        [draw(plans(depth - 1, child)) for child in draw(names)],
    )


class TreeMachine(RuleBasedStateMachine):
    """Crashes, stops and kills random actors; lets time pass."""

    @initialize(plan=plans())
    def build(self, plan: Plan) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.system = ActorSystem(self.clock)
        self.model = Model(plan)
        self.loop.run_until_complete(self.system.spawn(plan.spec()))
        self.check()

    @precondition(lambda self: self.model.root)
    @rule(data=st.data(), way=st.sampled_from(["crash", "stop", "kill", "signal"]))
    def end_someone(self, data: st.DataObject, way: str) -> None:
        address = data.draw(st.sampled_from(sorted(self.model.living())), label="victim")
        self.loop.run_until_complete(self._end(address, way))
        node = self.model.find(address)
        why = {"crash": Exit.FAILED, "kill": Exit.KILLED}.get(way, Exit.NORMAL)
        node.children.clear()
        node.ended(why)
        self.check()

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.model.now += seconds
        self.loop.run_until_complete(self.clock.advance(seconds))

    @invariant()
    def nothing_is_left_behind(self) -> None:
        if hasattr(self, "system"):
            assert self.system.tasks == len(self.model.living())
            assert len(self.system.asks) == 0

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            assert self.loop.run_until_complete(self.system.shutdown(5.0)) == []
            assert self.system.tasks == 0
            assert self.system.cells == {}
            self.loop.close()

    async def _end(self, address: str, way: str) -> None:
        ref, life = self.system.ref(address), self.system.cells[address].life
        is_supervisor = life.actor.supervises
        if way == "kill":
            life.task.cancel()
        elif way == "signal" or (way == "stop" and is_supervisor):
            ref.stop()
        else:
            await ref.tell(Become("crash", "") if is_supervisor else Do(way))
        await until(lambda: life.closed, f"the end of {address}")

    def check(self) -> None:
        expected = self.model.living()

        async def reach() -> None:
            await until(lambda: self.actual() == expected, f"{expected}, is {self.actual()}")
            await settle(10)
            assert self.actual() == expected

        self.loop.run_until_complete(reach())

    def actual(self) -> dict[str, int]:
        cells = self.system.cells.items()
        return {address: cell.life.number for address, cell in cells if cell.life.has_started and not cell.life.over}


TestTree = TreeMachine.TestCase
TestTree.settings = settings(stateful_step_count=20)
