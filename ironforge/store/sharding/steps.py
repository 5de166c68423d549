"""Recording steps of jobs that run in several shards or namespaces: each in the part that its job came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ironforge.steps.journal import Entry
from ironforge.steps.waits import ParentRef
from ironforge.store.consumer.consumer import RedisConsumer
from ironforge.store.sharding.fan_out import gather_all
from ironforge.store.steps.contract import NewStep


class ShardedSteps:
    """Part of `node_contract.Consumer`."""

    def __init__(self, parts: Sequence[RedisConsumer]) -> None:
        self._parts = parts

    async def record_steps(self, batch: Sequence[NewStep]) -> list[bytes | None]:
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for at, step in enumerate(batch):
            groups[step.stream.partition("/")[0]].append(at)

        async def record(part: str, group: list[int]) -> None:
            own = [batch[at]._replace(stream=batch[at].stream.partition("/")[2]) for at in group]
            found.update(zip(group, await self._parts[int(part)].record_steps(own), strict=True))

        found: dict[int, bytes | None] = {}
        await gather_all(record(part, group) for part, group in groups.items())
        return [found[at] for at in range(len(batch))]

    async def journal(self, stream: str, job_id: bytes) -> Mapping[str, Entry]:
        part, _, own_stream = stream.partition("/")
        return await self._parts[int(part)].journal(own_stream, job_id)

    async def results_for(self, stream: str, parent: ParentRef) -> Mapping[str, bytes | None]:
        part, _, own_stream = stream.partition("/")
        return await self._parts[int(part)].results_for(own_stream, parent)
