"""Says in the log, at the start of a process, what would wait in silence: no running node takes it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Final

from ironforge.errors import StoreError
from ironforge.handlers.forge import Forge
from ironforge.logs.setup import get_logger
from ironforge.settings import Settings, environment_name, of_namespace, shares_of
from ironforge.store import Inspector, StoreClient
from ironforge.store.counts import VersionLine
from ironforge.store.kinds import Kinds

MOST_NAMED: Final = 10

log = get_logger("ironforge.runtime")


async def warn_of_unserved_kinds(forge: Forge, settings: Settings) -> None:
    """Of kinds that a node runs, whose jobs go to queues that neither this node nor another one serves."""
    for share in shares_of(settings):
        async with _looking(settings, share.namespace) as inspector:
            kinds, stats = await inspector.kinds(), await inspector.stats()
            if lines := [line for line in kinds.without_node(stats.versions) if line.kind in forge.kinds]:
                _warn_of_versions(lines)
            for queue, names in _unserved(forge, kinds).items():
                log.warning(
                    "no running node serves the queue of these kinds: their jobs wait",
                    namespace=share.namespace,
                    queue=queue,
                    kinds=_some(names),
                    fix=f"add it to {environment_name('queues')} of a node",
                )


async def warn_of_unserved_queues(settings: Settings) -> None:
    """Of queues with jobs that wait, in the namespace of the settings."""
    async with _looking(settings, settings.namespace) as inspector:
        stats, kinds = await inspector.stats(), await inspector.kinds()
        servers = kinds.servers()
        if names := sorted({each.queue for each in stats.streams if each.queued and not servers(each.queue)}):
            log.warning("no running node serves queues with waiting jobs", queues=_some(names))
        if lines := kinds.without_node(stats.versions):
            _warn_of_versions(lines)


@contextlib.asynccontextmanager
async def _looking(settings: Settings, namespace: str) -> AsyncIterator[Inspector]:
    """A process starts all the same when the server cannot be asked now."""
    store_client = StoreClient(of_namespace(settings, namespace))
    try:
        yield store_client.inspector
    except StoreError as error:
        log.debug("what is not served could not be read", error=str(error))
    finally:
        await store_client.close()


def _warn_of_versions(lines: Sequence[VersionLine]) -> None:
    log.warning(
        "no running node has the version of the application that began these jobs: they wait",
        jobs=sum(line.jobs for line in lines),
        kinds=_some(sorted({f"{line.kind} of version {line.version}" for line in lines})),
        fix="start such nodes, or: ironforge kinds release",
    )


def _unserved(forge: Forge, kinds: Kinds) -> dict[str, list[str]]:
    """Kinds of the application by their queues."""
    servers, found = kinds.servers(), defaultdict(list)
    for name in forge.kinds:
        known = kinds.known.get(name)
        if known is not None and not servers(known.queue):
            found[known.queue].append(name)
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
