"""The node's tree as data: who is started in which order, who falls with whom, and when to give up.

All roles of a node share one lease, and each holds a part of what the node has fetched. When one of them falls the
parts no longer fit together: so all start anew under a new lease (one_for_all), the old one requeues what is
still open, and no role needs recovery code of its own. Only workers fall alone: the dispatcher knows what they held.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironforge.actors.dead_letter import DeadLetter
from ironforge.actors.dispatcher import Dispatcher
from ironforge.actors.fetch_demand import LARGEST_BATCH
from ironforge.actors.kernel import Actor, ActorSystem, ChildSpec, RestartBudget, Strategy, Supervisor
from ironforge.actors.leaseholder import Leaseholder
from ironforge.actors.notifications import Notifications
from ironforge.actors.retry_timer import RetryTimer
from ironforge.actors.session import NODE, Session
from ironforge.actors.worker import Worker
from ironforge.execution.executor import Executor
from ironforge.metrics.jobs import Metrics
from ironforge.settings import Settings
from ironforge.store import NodeStore

# What a cancelled handler may take to clean up, and the leaseholder to requeue what is open.
WORKER_STOP_SECONDS: Final = 2.0
LEASE_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Parts:
    """What the roles are built from: the composition root makes it, the tree hands it out."""

    settings: Settings
    store: NodeStore
    executor: Executor
    metrics: Metrics
    system: ActorSystem
    on_joined: Callable[[str], None]

    @property
    def session(self) -> Session:
        return Session(self.system, self.store, self.metrics)


class Workers(Supervisor):
    strategy = Strategy.ONE_FOR_ONE
    budget = RestartBudget(intensity=20, period_seconds=60.0)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def children(self) -> list[ChildSpec]:
        parts, session = self._parts, self._parts.session
        return [
            _role(
                str(number),
                functools.partial(Worker, session, number, parts.executor, parts.metrics),
                stop_seconds=WORKER_STOP_SECONDS,
            )
            for number in range(parts.settings.concurrency)
        ]


class Node(Supervisor):
    strategy = Strategy.ONE_FOR_ALL
    budget = RestartBudget(intensity=5, period_seconds=30.0)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def children(self) -> list[ChildSpec]:
        parts, settings = self._parts, self._parts.settings
        session, metrics = parts.session, parts.metrics
        return [
            _role(
                "lease",
                lambda: Leaseholder(parts.store, settings, metrics, parts.on_joined),
                stop_seconds=LEASE_STOP_SECONDS,
            ),
            _role("dead_letter", lambda: DeadLetter(session, metrics)),
            _role("retry_timer", lambda: RetryTimer(session, metrics, parts.store.tickers)),
            _role("workers", lambda: Workers(parts), stop_seconds=math.inf),
            _role("signals", lambda: Notifications(session, parts.store.signals)),
            _role(
                "dispatcher",
                lambda: Dispatcher(session, settings, metrics),
                # Every worker may report each job it holds on its own, and none of them can wait.
                capacity=2 * LARGEST_BATCH * settings.concurrency + 1024,
            ),
        ]


def _role(name: str, start: Callable[[], Actor], *, stop_seconds: float = 5.0, capacity: int = 1024) -> ChildSpec:
    """Messages speak of what an incarnation held: none is kept for the next one."""
    return ChildSpec(name, start, shutdown_seconds=stop_seconds, capacity=capacity, keeps_mailbox=False)


def node_spec(parts: Parts) -> ChildSpec:
    return _role(NODE, lambda: Node(parts), stop_seconds=math.inf)
