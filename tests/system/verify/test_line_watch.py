"""What counts as waiting, and who may hold a place, by what the server knows."""

from __future__ import annotations

import pytest

from ironforge.job.limits import Limit, Rate
from ironforge.verify.limits.load import BLOCK, CROWD, LIMITS, MOST_UNITS, PARK, SKIP
from ironforge.verify.limits.watch import has_room, is_served, may_hold

NOW_US = 5_000_000
IN_STREAMS = [b"q:default:2:1-1", b"c:default:2:1-1", b"p:default:2:1-1"]
WAITING = [b"s:default:2:1:-", b"l:default:2:1:-"]
DECLINED, DEAD = b"k:default:2:kind", b"d"


@pytest.mark.parametrize(
    ("limit", "holders", "ahead_us", "room"),
    [
        (Limit(concurrency=2), 1, 0, True),
        (Limit(concurrency=2), 2, 0, False),
        (Limit(rate=Rate(10, burst=MOST_UNITS + 1)), 9, 100_000, True),
        (Limit(rate=Rate(10, burst=MOST_UNITS + 1)), 9, 100_001, False),
        (Limit(rate=Rate(10, burst=1)), 9, 0, True),
    ],
)
def test_a_key_has_room_as_its_limit_says(limit: Limit, holders: int, ahead_us: int, room: bool) -> None:
    assert has_room(limit, holders, NOW_US + ahead_us, NOW_US) is room


@pytest.mark.parametrize(
    ("leases", "alone", "served"),
    [
        ([], None, False),
        ([b"n1", b"5000"], None, False),
        ([b"n1", b"4000", b"n2", b"5001"], None, True),
        ([b"n1", b"4000", b"n2", b"5001"], b"n2", False),
        ([b"n1", b"5001", b"n2", b"5001"], b"n2", True),
    ],
)
def test_nodes_that_are_dead_or_run_a_suspect_serve_nobody(
    leases: list[bytes], alone: bytes | None, served: bool
) -> None:
    assert is_served(leases, alone, NOW_US) is served


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (CROWD, IN_STREAMS),
        (SKIP, [*IN_STREAMS, DECLINED]),
        (BLOCK, [*IN_STREAMS, *WAITING, DECLINED]),
        (PARK, [*IN_STREAMS, *WAITING, DECLINED, DEAD]),
    ],
)
def test_a_job_holds_a_place_where_it_runs_and_where_the_next_ones_wait_for_it(name: str, places: list[bytes]) -> None:
    everywhere = [*IN_STREAMS, *WAITING, DECLINED, DEAD, None]

    assert [place for place in everywhere if may_hold(LIMITS[name], place)] == places
