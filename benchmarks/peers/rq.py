"""RQ: `enqueue_many` of prepared data, and SimpleWorker, which forks no process for each job; no results kept."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.peers.kit import chunks, done, main


def submit(url: str, jobs: int) -> Iterator[None]:
    queue = Queue(connection=Redis.from_url(url))
    queue.count  # noqa: B018 - connects
    yield
    for size in chunks(jobs, 500):
        queue.enqueue_many([Queue.prepare_data(done, result_ttl=0) for _ in range(size)])


def work(url: str, _concurrency: str) -> None:
    connection = Redis.from_url(url)
    SimpleWorker([Queue(connection=connection)], connection=connection).work(logging_level="WARNING")


if __name__ == "__main__":
    main(submit, work)
