"""A role's session: the store under the lease that the node holds now, and the other roles by name.

Every role opens its own at its start. When a settlement is refused, the role only reports it: the leaseholder ends
the incarnation, and all roles begin anew together, because what each of them holds belongs to the lost lease.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ironforge.actors.kernel import ActorDead, ActorRef, ActorSystem, BeginAnew, MailboxFull
from ironforge.actors.messages import LeaseGone, WhoHolds
from ironforge.errors import LeaseLost
from ironforge.job.record import Job
from ironforge.metrics.jobs import Metrics
from ironforge.store import Consumer, Lease, NodeStore
from ironforge.store.versions import OtherVersion, begun

NODE = "node"
ASK_SECONDS = 5.0


class Session:
    def __init__(self, system: ActorSystem, store: NodeStore, metrics: Metrics) -> None:
        self._system = system
        self._store = store
        self._metrics = metrics

    def role(self, name: str) -> ActorRef:
        return self._system.ref(f"{NODE}/{name}")

    async def lease(self) -> Lease:
        """The present one."""
        return Lease(*await self.role("lease").ask(WhoHolds(), timeout_seconds=ASK_SECONDS))

    async def work(self) -> Consumer:
        """The store's node side under the present lease."""
        return self._store.work(await self.lease())

    def now_ms(self, stream: str) -> float:
        """Unix time by the server that this stream of a delivery is on, and never behind it."""
        return self._store.now_ms(stream)

    def began(self, job: Job) -> Job:
        """As `store.versions.begun`: this node may have run it. One that another version began it has declined."""
        with contextlib.suppress(OtherVersion):
            return begun(job, self._store.same)
        return job

    @contextlib.contextmanager
    def reporting_loss(self) -> Iterator[None]:
        """Turns LeaseLost into a report to the leaseholder, then into BeginAnew: this role is over as well."""
        try:
            yield
        except LeaseLost as error:
            self.report_loss(error)
            raise BeginAnew(str(error)) from None

    def report_loss(self, error: LeaseLost) -> None:
        """To the leaseholder."""
        self._metrics.stale_settlements.inc()
        with contextlib.suppress(ActorDead, MailboxFull):
            self.role("lease").try_tell(LeaseGone(str(error)))
