"""The dispatcher's ledger against a plain model."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ironforge.actors.in_flight import InFlight
from ironforge.store import Delivery

WORKERS = 3


class InFlightModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.in_flight = InFlight(WORKERS)
        self.model: list[list[Delivery]] = [[] for _ in range(WORKERS)]
        self.known: set[int] = set()
        self.claimed: int | None = None
        self.numbers = itertools.count(1)
        self.incarnations = [0] * WORKERS

    @rule(worker=st.integers(0, WORKERS - 1))
    def a_worker_is_new(self, worker: int) -> None:
        self.incarnations[worker] += 1
        lost = self.in_flight.arrived(worker, self.incarnations[worker])
        assert lost == self.model[worker]
        self.model[worker] = []
        self.known.add(worker)

    @rule(worker=st.integers(0, WORKERS - 1))
    def a_worker_says_it_again(self, worker: int) -> None:
        assert self.in_flight.arrived(worker, self.incarnations[worker] - 1) == []

    @precondition(lambda self: self.in_flight.free > 0)
    @rule(count=st.integers(1, 5))
    def give(self, count: int) -> None:
        worker = self.in_flight.claim_free()
        assert self.model[worker] == []
        jobs: list[Delivery] = [("default:2", b"%d-0" % next(self.numbers), b"") for _ in range(count)]
        self.in_flight.give(worker, jobs)
        self.model[worker] += jobs

    @rule(worker=st.integers(0, WORKERS - 1), data=st.data())
    def jobs_end(self, worker: int, data: st.DataObject) -> None:
        if self.model[worker]:
            count = data.draw(st.integers(1, len(self.model[worker])))
            assert self.in_flight.ended(worker, count) == self.model[worker][:count]
            del self.model[worker][:count]

    @rule(worker=st.integers(0, WORKERS - 1), data=st.data())
    def jobs_are_requeued(self, worker: int, data: st.DataObject) -> None:
        if self.model[worker]:
            count = data.draw(st.integers(1, len(self.model[worker])))
            assert self.in_flight.requeued(worker, count) == self.model[worker][-count:]
            del self.model[worker][-count:]

    @invariant()
    def the_ledger_agrees_with_the_model(self) -> None:
        held = [job for jobs in self.model for job in jobs]
        assert self.in_flight.all() == held
        assert self.in_flight.count == len(held)
        assert list(self.in_flight.busy()) == [worker for worker, jobs in enumerate(self.model) if jobs]
        assert self.in_flight.free == sum(not self.model[worker] for worker in self.known)


TestInFlight = InFlightModel.TestCase
