"""Several shards behind the same contract: what `ironforge.store.open` puts together when there is more than one.

A shard is a whole installation under its own hash tag, on a server of a cluster. Nothing here knows Redis: each part
is the store of one shard, and a part that does not answer keeps nobody waiting for the others.
"""

from __future__ import annotations

from ironforge.store.sharded.doors import ShardedInspection, ShardedSubmissions
from ironforge.store.sharded.leases import ShardedLeases
from ironforge.store.sharded.signals import ShardedSignals
from ironforge.store.sharded.work import ShardedWork

__all__ = ["ShardedInspection", "ShardedLeases", "ShardedSignals", "ShardedSubmissions", "ShardedWork"]
