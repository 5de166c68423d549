"""Celery, with a result backend: a chain of tasks, each of which is given the result of the one before; or a chord
between a first task and a last one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from celery import Celery, chain, group

from benchmarks.peers.celery import run_worker
from benchmarks.peers.kit import done, main
from benchmarks.peers.steps import CHAIN, SHAPE, STEPS


def _app(url: str, **settings: object) -> tuple[Celery, Any, Any]:
    app = Celery("bench", broker=url, backend=url)
    app.conf.update(worker_send_task_events=False, result_expires=3600, **settings)

    def step(number: int) -> int:
        done()
        return number + 1

    def last(numbers: int | list[int]) -> int | list[int]:
        done()
        return numbers

    return app, app.task(step, name="step"), app.task(last, name="last")


def submit(url: str, jobs: int) -> Iterator[None]:
    app, step, last = _app(url)
    between = [step.s() for _ in range(STEPS - 2)]
    shape = chain(step.s(0), *(between if os.environ[SHAPE] == CHAIN else [group(between)]), last.s())
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
        yield
        for _ in range(jobs):
            shape.clone().apply_async(producer=producer)


def work(url: str, concurrency: str) -> None:
    app, _step, _last = _app(url, worker_prefetch_multiplier=64)
    run_worker(app, concurrency)


if __name__ == "__main__":
    main(submit, work)
