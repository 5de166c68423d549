"""Which of the parts that a node serves, shards or namespaces, a delivery came from."""

from __future__ import annotations

import functools


@functools.cache
def part_of(stream: str) -> int:
    """By the stream of the delivery: 2 for `2/default:1`, 0 without a number."""
    part, slash, _ = stream.partition("/")
    return int(part) if slash else 0
