"""What an API process counts of its requests: by route and method of the contract, never by the path that was asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from ironforge.metrics.histograms import observe

# What all of their names begin with.
PREFIX: Final = "ironforge_http_"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Route, method, hundreds of the status.
Answered = tuple[str, str, int]


class HttpMetrics:
    """One per process, in the registry of its other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "ironforge_http_requests_total", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self._duration = Histogram(
            "ironforge_http_request_duration_seconds",
            "From a request's first line to its answer",
            ("route", "method"),
            registry=registry,
            buckets=BUCKETS,
        )
        # `labels` costs more than the counting.
        self._known: dict[Answered, tuple[Counter, Histogram]] = {}
        self._turn: defaultdict[Answered, list[float]] = defaultdict(list)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` as in the contract, `/jobs/{id}`, and `method`: both must be few. `status`: 200 to 599.

        Counted at the end of this turn of the running loop: submissions that were written together are answered
        together, and each of these metrics has a lock.
        """
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._count)
        self._turn[route, method, status // 100].append(seconds)

    def _count(self) -> None:
        for answered, seconds in self._turn.items():
            if answered not in self._known:
                route, method, hundreds = answered
                requests = self._requests.labels(route, method, f"{hundreds}xx")
                self._known[answered] = requests, self._duration.labels(route, method)
            requests, duration = self._known[answered]
            requests.inc(len(seconds))
            observe(duration, BUCKETS, seconds)
        self._turn.clear()
