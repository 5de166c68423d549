"""Dramatiq: a `group` of 500 is its bulk call; a worker with threads, no results."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.kit import chunks, done, main


def _actor(url: str) -> dramatiq.Actor:
    broker = RedisBroker(url=url)
    dramatiq.set_broker(broker)
    return dramatiq.actor(done, actor_name="noop", broker=broker)


def submit(url: str, jobs: int) -> Iterator[None]:
    noop = _actor(url)
    yield
    for size in chunks(jobs, 500):
        dramatiq.group(noop.message() for _ in range(size)).run()


def work(url: str, concurrency: str) -> None:
    dramatiq.Worker(_actor(url).broker, worker_threads=int(concurrency)).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(submit, work)
