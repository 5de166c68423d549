"""Bugs of what schedules start and hold back, planted in the server's scripts, are found, each by the test that says
what it breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from ironforge.redis import scripts
from ironforge.redis.scripts import Script
from tests.store.kit import Cluster
from tests.store.model.planting import edit
from tests.store.schedules.workflows import test_one_after_the_other as in_line
from tests.store.schedules.workflows import test_overlaps as overlaps
from tests.store.schedules.workflows import test_starting as starting
from tests.store.schedules.workflows import test_workflows_out_of_turn as out_of_turn

pytestmark = pytest.mark.unmeasured

HOLDS_BACK = "if is_behind then redis.call('SETRANGE', progress_of(id), PAUSED_AT, string.char(HELD)) end"


class Bug(NamedTuple):
    """`scripts`: those in which `old` stands as `new`. `found_by`: a test that fails with it."""

    scripts: tuple[Script, ...]
    old: str
    new: str
    found_by: Callable[[Cluster], Awaitable[None]]


async def waits_its_turn(cluster: Cluster) -> None:
    await in_line.test_the_next_one_starts_however_the_first_one_ends(cluster, "dead")


BUGS = {
    "none waits for the one before": Bug((scripts.FIRE_WORKFLOWS,), HOLDS_BACK, "", waits_its_turn),
    "the next one is never let go": Bug(
        (scripts.FINISH_WORKFLOWS, scripts.FINISH_AND_TELL), "  run_first(schedule, at_ms)\n", "", waits_its_turn
    ),
    "one that ends stays in the line": Bug(
        (scripts.FINISH_WORKFLOWS, scripts.FINISH_AND_TELL), "redis.call('HDEL', runs_of, id)", "", waits_its_turn
    ),
    "one that somebody paused is let go when its turn has come": Bug(
        (scripts.FINISH_WORKFLOWS, scripts.FINISH_AND_TELL),
        "head.paused == HELD",
        "head.paused > 0",
        in_line.test_one_that_waits_and_is_paused_stays_paused_when_its_turn_has_come,
    ),
    "the audit lets one go while another one is in front": Bug(
        (scripts.AUDIT_WORKFLOWS,),
        "not is_behind(id) and 'turn'",
        "'turn'",
        in_line.test_no_audit_lets_one_go_while_another_one_is_in_front,
    ),
    "the audit looks at none that waits": Bug(
        (scripts.AUDIT_WORKFLOWS,),
        "not is_behind(id) and 'turn'",
        "nil",
        in_line.test_one_in_front_that_is_nowhere_is_in_nobodys_way,
    ),
    "the last one is cancelled though no other one takes its place": Bug(
        (scripts.STEER_WORKFLOW,),
        "then return 'kept' end",
        "then end",
        overlaps.test_one_whose_tick_has_moved_meanwhile_cancels_nothing,
    ),
    "a tick is fired twice": Bug(
        (scripts.FIRE_WORKFLOWS,),
        "where_now[at] ~= seen[at] or ",
        "",
        starting.test_two_that_fire_one_tick_start_one_workflow,
    ),
    "a backfill begins them all at once": Bug(
        (scripts.FIRE_WORKFLOWS,),
        "(number - 1) * pause_ms",
        "0",
        out_of_turn.test_a_backfill_begins_them_one_after_the_other,
    ),
}


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@pytest.mark.parametrize("name", BUGS)
async def test_it_is_found(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bug = BUGS[name]
    for script in bug.scripts:
        assert bug.old in script.text
        edit(monkeypatch, script, bug.old, bug.new)
    cluster.checked = False
    with pytest.raises(AssertionError):
        await bug.found_by(cluster)
