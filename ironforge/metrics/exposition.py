"""The page of `/metrics`: of one process, or of all children of a parent, which count together in files.

Every module that makes a metric imports this first: a child process has to know its files before there is one.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, disable_created_metrics, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from ironforge.version import VERSION

MULTIPROCESS_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"
SLOT: Final = "IRONFORGE_SLOT"


def _claim_slot(slot: str) -> None:
    """The child that replaces a dead one continues its files: counters never fall, and files never pile up.

    Two writers would ruin a file, so nothing that this process starts or forks gets the same name.
    """
    owner = os.getpid()

    def identifier() -> str:
        return slot if os.getpid() == owner else str(os.getpid())

    values.ValueClass = values.MultiProcessValue(identifier)  # type: ignore[no-untyped-call]


_IS_CHILD: Final = MULTIPROCESS_DIR in os.environ and SLOT in os.environ
if _IS_CHILD:
    _claim_slot(os.environ.pop(SLOT))


# A `_created` time next to every counter would double the page, and has no use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class BuildInfo(Collector):
    """Which IronForge this is, and on which Python it runs."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        info = GaugeMetricFamily("ironforge_build_info", "Always 1", labels=("version", "python"))
        info.add_metric((VERSION, platform.python_version()), 1)
        yield info


class ChildMetrics:
    """The parent's side: what its child processes count, in one exposition.

    Each child writes to memory-mapped files in `folder`, named by its slot and not by its process id.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def environment(self, slot: int) -> dict[str, str]:
        """What the child in `slot` needs in its environment before it starts."""
        return {MULTIPROCESS_DIR: self._folder, SLOT: str(slot)}

    def child_gone(self, slot: int) -> None:
        """The child in `slot` has ended: its gauges vanish, its counters stay."""
        mark_process_dead(slot, self._folder)  # type: ignore[no-untyped-call]

    def exposition(self) -> tuple[bytes, str]:
        """The body of `/metrics` and its Content-Type."""
        return page(_family(self._folder))


def page(*collectors: Collector) -> tuple[bytes, str]:
    """The body for these collectors, no two of which may have the same metric, and the Content-Type."""
    registry = CollectorRegistry()
    for collector in (BuildInfo(), *collectors):
        registry.register(collector)
    return generate_latest(registry), CONTENT_TYPE_LATEST


def with_siblings(registry: CollectorRegistry) -> CollectorRegistry:
    """In a child process what all children have counted together, else `registry` itself."""
    return _family(os.environ[MULTIPROCESS_DIR]) if _IS_CHILD else registry


def _family(folder: str) -> CollectorRegistry:
    """What all children that write to `folder` have counted together."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return registry
