"""What a worker has to report: outcomes collected by what is to be written of them, and measured."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping

from ironforge.actors import attempt_log
from ironforge.actors.kernel import ActorDead
from ironforge.actors.messages import Done, Unreadable
from ironforge.actors.session import Session
from ironforge.execution.executor import Ending, Outcome
from ironforge.job.limits import LimitUse
from ironforge.job.record import decode
from ironforge.metrics.jobs import Metrics
from ironforge.store import Adjustment, Delivery, Ended, NewWait, Rewrite, Settled


class _Tally:
    """Run times of one namespace, in seconds by kind."""

    __slots__ = ("completed", "failed")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.completed: defaultdict[str, list[float]] = defaultdict(list)
        self.failed: defaultdict[str, list[float]] = defaultdict(list)


class OutcomeReporter:
    def __init__(self, session: Session, worker: int, metrics: Metrics) -> None:
        self._dispatcher = session.role("dispatcher")
        self._worker = worker
        self._metrics = metrics
        self._tallies: dict[str, _Tally] = {}  # by namespace
        self._tally_of: dict[str, _Tally] = {}  # by stream
        self._waits: dict[str, list[float]] = {}  # by stream; kept, because every job asks for it
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._ended: list[Settled] = []
        self._parked: list[Rewrite] = []
        self._buried: list[Rewrite] = []
        self._declined: list[Rewrite] = []
        self._unreadable: list[Unreadable] = []
        self._waiting: list[NewWait] = []
        self._adjusted: list[Adjustment] = []

    def started(self, stream: str, latency_seconds: float) -> None:
        waits = self._waits.get(stream)
        if waits is None:
            namespace = self._metrics.namespace_of(stream)
            self._tally_of[stream] = self._tallies.setdefault(namespace, _Tally())
            waits = self._waits[stream] = []
        waits.append(latency_seconds)

    def unreadable(self, delivered: Delivery, reason: str) -> None:
        self._count += 1
        self._unreadable.append((delivered, reason))

    def declined(self, delivered: Delivery) -> None:
        """A job of a kind that this node does not know, or that another version of the application has begun. Its
        record stays as it is: nothing was tried."""
        stream, entry, record = delivered
        job = decode(record)
        self._count += 1
        self._declined.append(Rewrite(stream, entry, job.id, record))
        self._metrics.declined(job.kind, stream)

    def used(self, delivered: Delivery, units: Mapping[LimitUse, int]) -> None:
        """How much of its limits the run of a job really used."""
        for use, used in units.items():
            self._adjusted.append(Adjustment(delivered[0], use.claim, units=used - use.units))

    def add(self, delivered: Delivery, outcome: Outcome) -> None:
        """The outcome of a job that was told to have started, or has expired."""
        stream, entry, _ = delivered
        self._count += 1
        self._seconds += outcome.seconds
        ending = outcome.ending
        if ending is Ending.COMPLETED:
            self._tally_of[stream].completed[outcome.kind].append(outcome.seconds)
            self._end(stream, entry, outcome, "completed")
        elif ending is Ending.CANCELLED:
            self._end(stream, entry, outcome, "cancelled")
        elif ending is Ending.EXPIRED:
            self._end(stream, entry, outcome, "expired")
        elif ending is Ending.WAITING:
            assert outcome.job is not None
            self._waiting.append(NewWait.of(stream, entry, outcome.job, outcome.waits_since_ms))
            attempt_log.waits(outcome.job)
        else:
            self._rewrite(stream, entry, outcome)

    def _end(self, stream: str, entry: bytes, outcome: Outcome, how: Ended) -> None:
        kept, held = (outcome.record, outcome.retention_ms), (outcome.claims, outcome.held, outcome.ties)
        self._ended.append((stream, entry, outcome.job_id, *kept, how, *held))

    def _rewrite(self, stream: str, entry: bytes, outcome: Outcome) -> None:
        job, delay_ms, failed = outcome.job, outcome.delay_ms, outcome.ending is not Ending.SNOOZED
        assert job is not None
        rewrite = Rewrite.of(stream, entry, job, delay_ms=delay_ms, failed=failed, throttled=outcome.throttled)
        if failed:
            self._tally_of[stream].failed[outcome.kind].append(outcome.seconds)
        if outcome.ending is Ending.DEAD:
            self._buried.append(rewrite)
            attempt_log.dead(job, stream, self._metrics)
            return
        self._parked.append(rewrite)
        if failed:
            attempt_log.retried(job, stream, delay_ms, self._metrics)

    def send(self) -> None:
        if self._count == 0:
            return
        settled, parked, buried = tuple(self._ended), tuple(self._parked), tuple(self._buried)
        others = tuple(self._declined), tuple(self._unreadable), tuple(self._waiting), tuple(self._adjusted)
        done = Done(self._worker, self._count, self._seconds, settled, parked, buried, *others)
        self._measure()
        self._clear()
        # Without a dispatcher the node ends, or all begin anew. What could not be told stays pending and is requeued.
        with contextlib.suppress(ActorDead):
            self._dispatcher.try_tell(done)

    def _measure(self) -> None:
        for namespace, tally in self._tallies.items():
            for kind, durations in tally.completed.items():
                self._metrics.completed(kind, durations, namespace)
            for kind, durations in tally.failed.items():
                self._metrics.failed(kind, durations, namespace)
            tally.clear()
        for stream, waits in self._waits.items():
            if waits:
                self._metrics.started(waits, stream)
                waits.clear()
