"""What a roll-out would leave lying of workflows that go on: nodes that have not started, what undoes nodes, and what
is told of an end."""

from __future__ import annotations

from typing import Final

from ironforge.doctor.deploy_problems import Tally, problems_of
from ironforge.doctor.finding import Finding
from ironforge.formats.numbers import counted
from ironforge.handlers.forge import Forge
from ironforge.job.record import format_id
from ironforge.redis.connection import DoorConnection
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store.workflows.reading.jobs_to_come import JobsToCome
from ironforge.workflows.definition import MAX_NODES

# In each namespace: the answer must come while an operator waits.
WORKFLOWS_READ: Final = 2_000
NODES_READ: Final = 20_000


async def nodes_to_come(forge: Forge, settings: Settings) -> list[Finding]:
    """Of one namespace; nothing where no workflow goes on. Raises StoreError."""
    nodes, later = Tally(), Tally()
    reads: list[JobsToCome] = []
    for keys in shards_of(settings):
        connection = DoorConnection(settings.redis_url, keys.prefix)
        try:
            read = JobsToCome(keys, connection, WORKFLOWS_READ, NODES_READ - sum(one.nodes for one in reads))
            reads.append(read)
            async for workflow, job in read.each():
                parent = job.parent
                # What undoes a node, and what is told of an end, may never be asked for.
                is_node = parent is not None and parent.index < MAX_NODES
                name = f" {parent.node}" if parent is not None else ""
                for problem, words in problems_of(job, forge, settings):
                    (nodes if is_node else later).note(problem, f"{format_id(workflow)}{name}{words}")
        finally:
            await connection.close()
    if not any(read.workflows for read in reads):
        return []
    count = sum(read.nodes for read in reads)
    findings = nodes.findings("pending node", "fail") + later.findings("job that may follow", "warn")
    if any(read.is_cut for read in reads):
        message = f"only {count} pending nodes of workflows were looked at, and there are more"
        findings.append(Finding("warn", "deploy", message))
    return findings or [Finding("ok", "deploy", f"{counted(count, 'pending node')} could run")]
