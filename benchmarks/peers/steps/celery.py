"""Celery: a chain of so many tasks, each of which hands its result to the next one, with a result backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import Celery, chain

from benchmarks.peers.celery import run_worker
from benchmarks.peers.kit import done, main
from benchmarks.peers.steps import STEPS


def _app(url: str, **settings: object) -> tuple[Celery, Any, Any]:
    app = Celery("bench", broker=url, backend=url)
    app.conf.update(worker_send_task_events=False, result_expires=3600, **settings)

    def step(number: int) -> int:
        return number + 1

    def last(number: int) -> int:
        done()
        return number

    return app, app.task(step, name="step"), app.task(last, name="last")


def submit(url: str, jobs: int) -> Iterator[None]:
    app, step, last = _app(url)
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
        yield
        for _ in range(jobs):
            chain(step.s(0), *(step.s() for _ in range(STEPS - 2)), last.s()).apply_async(producer=producer)


def work(url: str, concurrency: str) -> None:
    app, _step, _last = _app(url, worker_prefetch_multiplier=64)
    run_worker(app, concurrency)


if __name__ == "__main__":
    main(submit, work)
