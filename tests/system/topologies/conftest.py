"""Sentinel and Cluster, each built once for all the tests of a file; every test leaves it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.topologies import ClusterTopology, SentinelTopology


@pytest.fixture(scope="module")
def sentinel() -> Iterator[SentinelTopology]:
    with SentinelTopology(down_after_seconds=1.0) as topology:
        yield topology


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterTopology]:
    with ClusterTopology() as topology:
        yield topology
