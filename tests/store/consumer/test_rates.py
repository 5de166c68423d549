"""Rates, by any times that a server's clock may show: never more starts than the bound, whatever is given back, and no
key that a clock stops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import redis
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job.limits import Limit, LimitDefinition, Rate

# As scripts have it, but for the time, which each step brings along: four words, time, id, units, and 1 to give back.
STEPS = """
local admitted = {}
for at = 1, #ARGV, 4 do
  local claim = claim_on('rate', 'rate\\n', ARGV[at + 2])
  instant = tonumber(ARGV[at])
  if ARGV[at + 3] == '1' then
    release(ARGV[at + 1], ':1:-\\n\\nrate\\n\\n' .. ARGV[at + 2], true)
  else
    local wait = closed(claim, ARGV[at + 1])
    if not wait then occupy({claim}, ARGV[at + 1]) end
    admitted[#admitted + 1] = wait and string.format('%.3f', wait) or ''
  end
end
return admitted
"""
NOON_US = 1_800_000_000_000_000
# The time is stored in whole µs: each job may cost so much less than it should.
ROUNDING_US = 0.5
# Nodes are not told to look again at shorter intervals than this.
LOOK_US = 20_000

rates = st.builds(Rate, st.integers(1, 5000), st.sampled_from([0.5, 1.0, 7.0, 60.0, 3600.0]), st.integers(0, 50))


class Step(NamedTuple):
    """`after`: how long after the step before, in parts of what one unit costs. `refund`: which of the last jobs gives
    back what it used, if it has started."""

    after: float
    units: int = 1
    refund: int | None = None


def steps(*, refunds: bool) -> st.SearchStrategy[list[Step]]:
    after = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0, 1.5, 4.0, 30.0])
    refund = st.none() | st.integers(1, 3) if refunds else st.none()
    return st.lists(st.builds(Step, after, st.integers(1, 5), refund), min_size=1, max_size=60)


class Start(NamedTuple):
    at_us: float
    units: int


class Key:
    """One key of a rate, on a server. `run` gives for each job in how many µs to look again, or None: it started."""

    def __init__(self, url: str, rate: Rate) -> None:
        self.rate = rate
        self.each_us = rate.per_seconds * 1e6 / rate.units
        self._raw: Any = redis.Redis.from_url(url, protocol=2)
        self._raw.flushall()
        definition = msgspec.json.encode(LimitDefinition(Limit(rate=rate)))
        self._raw.hset("{rates}:limits", "rate", definition)
        shared = files("ironforge.redis").joinpath("lua/shared")
        files_used = [shared.joinpath(f"{name}.lua").read_text() for name in ("limits", "holders", "admission")]
        self._text = "\n".join(["local stem = '{rates}:'", *files_used, STEPS])

    def run(self, *moves: tuple[float, int, int, bool]) -> list[float | None]:
        """Each move: when (µs), number of the job, its units, whether it gives them back."""
        words = itertools.chain(*((f"{at:.0f}", number, units, int(back)) for at, number, units, back in moves))
        return [float(wait) if wait else None for wait in self._raw.eval(self._text, 0, *words)]

    def play(self, steps: list[Step]) -> Iterator[Start]:
        """What started and was not given back."""
        now: float = NOON_US
        moves: list[tuple[float, int, int, bool]] = []
        tried: list[Start] = []
        back: set[int] = set()
        for step in steps:
            now = round(now + step.after * self.each_us)
            if step.refund is None:
                units = min(step.units, self.rate.most_at_once)
                moves.append((now, len(tried), units, False))
                tried.append(Start(now, units))
            elif step.refund <= len(tried):
                number = len(tried) - step.refund
                moves.append((now, number, tried[number].units, True))
                back.add(number)
        for number, (start, wait) in enumerate(zip(tried, self.run(*moves), strict=True)):
            if wait is None and number not in back:
                yield start

    def assert_bound(self, starts: list[Start]) -> None:
        for first, last in itertools.combinations_with_replacement(range(len(starts)), 2):
            within = starts[first : last + 1]
            seconds = (within[-1].at_us - within[0].at_us + ROUNDING_US * len(within)) / 1e6
            most = self.rate.units * seconds / self.rate.per_seconds + self.rate.most_at_once
            assert sum(start.units for start in within) <= most + 1e-6


@given(rate=rates, refunds=st.booleans(), data=st.data())
def test_no_window_of_time_has_more_starts_than_the_rate_and_its_burst(
    server: str, rate: Rate, refunds: bool, data: st.DataObject
) -> None:
    key = Key(server, rate)
    key.assert_bound(list(key.play(data.draw(steps(refunds=refunds)))))


def test_what_time_has_worked_off_is_not_given_back(server: str) -> None:
    """Two would start within half a second: the second one on the turn of the third, the third on that of the first."""
    key = Key(server, Rate(1, burst=1))
    assert list(key.play([Step(0), Step(1), Step(0.5, refund=2), Step(0)])) == [Start(NOON_US + 1e6, 1)]


@given(rate=rates, units=st.integers(1, 5))
def test_what_is_given_back_at_once_can_be_used_again(server: str, rate: Rate, units: int) -> None:
    key = Key(server, rate)
    units = min(units, rate.most_at_once)
    start, back = (NOON_US, 0, units, False), (NOON_US, 0, units, True)
    assert key.run(*(start, back) * 50, start) == [None] * 51


@given(rate=rates, before=st.lists(st.integers(1, 5), max_size=60), units=st.integers(1, 5))
def test_a_job_starts_at_the_time_that_it_was_told(server: str, rate: Rate, before: list[int], units: int) -> None:
    key = Key(server, rate)
    sizes = [min(size, rate.most_at_once) for size in (*before, units)]
    *_, wait = key.run(*((NOON_US, number, size, False) for number, size in enumerate(sizes)))
    if wait is not None:
        later = NOON_US + math.ceil(wait)
        assert key.run((later, len(sizes), sizes[-1], False)) == [None]


@given(rate=rates, before=st.lists(st.integers(1, 5), max_size=60), hours=st.integers(0, 10_000))
def test_a_clock_that_was_put_back_keeps_no_job_longer_than_its_own_units(
    server: str, rate: Rate, before: list[int], hours: int
) -> None:
    key = Key(server, rate)
    key.run(*((NOON_US, number, min(size, rate.most_at_once), False) for number, size in enumerate(before)))
    now = NOON_US - hours * 3_600_000_000
    [wait] = key.run((now, 99, 1, False))
    # And a number of this size has no more than a quarter of a µs.
    assert (wait or 0) <= max(key.each_us, LOOK_US) + 2 * ROUNDING_US
    assert wait is None or key.run((now + math.ceil(wait), 99, 1, False)) == [None]
