"""Celery: a `group` is its bulk call; results ignored, no gossip, no events; the pool is part of the concurrency."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from celery import Celery, group

from benchmarks.peers.kit import chunks, done, main


def _app(url: str, **settings: object) -> tuple[Celery, Any]:
    app = Celery("bench", broker=url)
    app.conf.update(task_ignore_result=True, worker_send_task_events=False, **settings)
    return app, app.task(done, name="noop")


def submit(url: str, jobs: int) -> Iterator[None]:
    app, noop = _app(url)
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
        yield
        for size in chunks(jobs, 500):
            group(noop.s() for _ in range(size)).apply_async(producer=producer)


def work(url: str, concurrency: str) -> None:
    app, _noop = _app(url, worker_prefetch_multiplier=64)
    run_worker(app, concurrency)


def run_worker(app: Celery, concurrency: str) -> None:
    """`concurrency`: `<pool>:<number>`."""
    pool, _, number = concurrency.partition(":")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR")
    app.worker_main(["worker", f"--pool={pool}", f"--concurrency={number}", f"--hostname={os.getpid()}@bench", *quiet])


if __name__ == "__main__":
    main(submit, work)
