"""Several shards behind the same contract: what `ironforge.store.factory` puts together when there is more than one.

A shard is a whole installation under its own hash tag, on a server of a cluster. Nothing here knows Redis: each part
is the store of one shard, and a part that does not answer keeps nobody waiting for the others.
"""

from __future__ import annotations

from ironforge.store.sharding.clients import ShardedInspector
from ironforge.store.sharding.consumer import ShardedConsumer
from ironforge.store.sharding.leases import ShardedLeases
from ironforge.store.sharding.limits import ShardedLimits
from ironforge.store.sharding.notifications import ShardedNotifications
from ironforge.store.sharding.producer import ShardedProducer

__all__ = [
    "ShardedConsumer",
    "ShardedInspector",
    "ShardedLeases",
    "ShardedLimits",
    "ShardedNotifications",
    "ShardedProducer",
]
