"""What an API process counts of its requests: by route and method of the contract, never by the path that was asked."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

# What all of their names begin with.
PREFIX: Final = "ironforge_http_"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


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
        # `labels` costs more than the counting, and every request comes through here.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` as in the contract, `/jobs/{id}`, and `method`: both must be few. `status`: 200 to 599."""
        known = self._known.get((route, method, status // 100))
        if known is None:
            requests = self._requests.labels(route, method, f"{status // 100}xx")
            known = self._known[route, method, status // 100] = requests, self._duration.labels(route, method)
        requests, duration = known
        # As `inc` and `observe`, which ask first whether there are labels, and walk over all buckets.
        requests._value.inc(1)  # noqa: SLF001
        duration._sum.inc(seconds)  # noqa: SLF001
        duration._buckets[bisect_left(BUCKETS, seconds)].inc(1)  # noqa: SLF001
