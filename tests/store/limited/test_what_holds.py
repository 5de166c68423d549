"""What a limit says at a moment: scripts, which decide by it, and Python, which shows it, read the same definition."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from ironforge.job.limits import Limit, LimitDefinition, Override, Rate
from ironforge.store.limits import effective

pytestmark = pytest.mark.one_shard
NOON_MS = 1_800_000_000_000
# ARGV: the time in µs.
SAYS = """
instant = tonumber(ARGV[1])
local limit = definition('one')
local rate = limit.rate
return {
  limit.concurrency or -1, limit.order or '', limit.when_full or '',
  rate and burst_of(rate) or -1, rate and string.format('%.17g', each_of(rate)) or '',
}
"""
numbers = st.none() | st.integers(1, 5)
seconds = st.sampled_from([0.001, 0.3, 0.7, 1.0, 3.0, 3600.0]) | st.floats(0.001, 31_536_000.0)
rates = st.none() | st.builds(Rate, st.integers(1, 1_000_000_000), seconds, st.integers(0, 3))
limits = st.builds(Limit, numbers, rates, st.sampled_from(["wait", "cancel_new", "cancel_oldest"])) | st.builds(
    Limit, st.just(1), rates, order=st.just("fifo"), on_failure=st.sampled_from(["", "block", "skip", "park"])
)
moments = st.sampled_from([0, NOON_MS - 1, NOON_MS, NOON_MS + 1])
overrides = st.none() | st.builds(Override, numbers, rates, moments)


@given(definition=st.builds(LimitDefinition, limits, overrides), micros=st.integers(0, 999))
@example(definition=LimitDefinition(Limit(rate=Rate(4779, 2.7))), micros=0)
def test_scripts_and_python_read_it_alike(server: str, definition: LimitDefinition, micros: int) -> None:
    raw: Any = redis.Redis.from_url(server, protocol=2)
    raw.hset("{says}:limits", "one", msgspec.json.encode(definition))
    shared = files("ironforge.redis").joinpath("lua/shared/limits.lua").read_text()
    said = raw.eval(f"local stem = '{{says}}:'\n{shared}\n{SAYS}", 0, NOON_MS * 1000 + micros)
    raw.flushdb()
    raw.close()
    limit = effective(definition, NOON_MS)
    rate = limit.rate
    concurrency, order, when_full, burst, each_us = said
    assert concurrency == (limit.concurrency or -1)
    assert order.decode() == limit.order
    assert when_full.decode() in (limit.when_full, "")
    assert burst == (rate.most_at_once if rate else -1)
    assert each_us == (b"%.17g" % rate.each_us if rate else b"")
