"""Which plan shows which planted bug, and the promise that it breaks.

Each plan is as small as the bug allows, with a lease of one second. A correct node has to pass all of them: otherwise
they would prove nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from ironforge.verify import flow_verdict as flow
from ironforge.verify import suspicion
from ironforge.verify import verdict as promises
from ironforge.verify.limits import policy_verdict as policies
from ironforge.verify.load import Plan
from ironforge.verify.schedules import verdict as schedules
from ironforge.verify.steps import verdict as steps
from ironforge.verify.workflows import verdict as workflows

CONTROL = ""


class Bugs(NamedTuple):
    """`broken`: the promise by what is planted. `conditions`: what is planted as well, and a correct node bears."""

    plan: Plan
    broken: dict[str, str]
    conditions: str = ""


FEW = Plan(seed=1, seconds=3.0, rate=10, nodes=2, pause_seconds=0, drain_seconds=4.0, schedules=False, workflows=False)
QUIET = FEW._replace(rate=100, slow=0.3)
# This seed pauses one of three nodes three times, each time for more than one and a half leases, and many jobs are in
# flight then. None of them fails: a failure that is refused would end the node before it can settle anything.
PAUSES = Plan(
    seed=2224,
    seconds=6.0,
    rate=150,
    nodes=3,
    pause_seconds=0.5,
    faults=("pause",),
    slow=0.5,
    failing=0.0,
    drain_seconds=5.0,
    schedules=False,
    workflows=False,
)
KILLS = Plan(
    seed=3,
    seconds=3.0,
    rate=100,
    nodes=2,
    pause_seconds=0.6,
    faults=("kill",),
    slow=0.3,
    drain_seconds=5.0,
    schedules=False,
    workflows=False,
)
# Each kill costs a lease and more, and there must be company until the third.
KILLERS = Plan(
    seed=3,
    seconds=10.0,
    rate=200,
    nodes=4,
    pause_seconds=0.0,
    slow=1.0,
    failing=0.0,
    drain_seconds=10.0,
    killers=3,
    schedules=False,
    workflows=False,
)
GROUPS = {
    "quiet": Bugs(
        Plan(
            seed=1,
            seconds=3.0,
            rate=100,
            nodes=2,
            pause_seconds=0,
            slow=0.3,
            drain_seconds=4.0,
            schedules=False,
            workflows=False,
        ),
        {
            "settle_twice": promises.ONCE,
            "leave_the_index_behind": promises.NOTHING_LEFT,
            "start_at_the_end": promises.KEPT,
            "renew_nothing": promises.REPEATS,
            "trust_the_own_clock": promises.REPEATS,
            "take_over_the_living": promises.REPEATS,
            "consumers_stay": promises.NOTHING_LEFT,
            "never_retry": promises.TRIED,
            "retry_for_ever": promises.LIMIT,
            "due_at_once": promises.EARLY,
            "cancel_what_failed": promises.ASKED,
            "forget_whose_turn_it_is": promises.KEPT,
            "give_a_turn_twice": promises.FENCE,
            "leave_the_turns_behind": promises.NOTHING_LEFT,
            "park_in_two_steps": promises.COUNTED,
            "share_the_context": promises.ALONE,
            "end_unnoticed": promises.KEPT,
            "let_tasks_out": promises.GOES_ON,
        },
    ),
    "limits": Bugs(
        Plan(
            seed=1, seconds=3.0, rate=20, nodes=2, pause_seconds=0, drain_seconds=3.0, schedules=False, workflows=False
        ),
        {
            "let_one_more_in": flow.HOLDERS,
            "use_up_nothing": flow.RATE,
            "overtake_a_retry": flow.ORDER,
            "keep_the_place": promises.STRAY,
            "say_nothing_of_room": flow.WAITED,
            "drop_the_key_at_a_retry": flow.UNIQUE,
            "take_nothing_declined": flow.DECLINED,
            "start_what_has_expired": flow.EXPIRES,
            "cancel_nothing_expired": promises.NOTHING_LEFT,
        },
    ),
    "limits that cancel, and keys": Bugs(
        Plan(
            seed=1, seconds=4.0, rate=20, nodes=2, pause_seconds=0, drain_seconds=3.0, schedules=False, workflows=False
        ),
        {
            "charge_one_unit": flow.RATE,
            "count_one_more": policies.FULL,
            "let_new_ones_wait": flow.WAITED,
            "cancel_the_newest": policies.OLDEST,
            "cancel_all_holders": policies.FULL,
            "go_on_after_a_death": policies.PARKED,
            "keep_the_place_at_a_retry": promises.STRAY,
            "keep_the_key": flow.LET_GO,
            "drop_the_key_as_it_is_let_in": flow.UNIQUE,
        },
    ),
    "kills": Bugs(
        KILLS,
        {
            "settle_before_running": promises.KEPT,
            "delete_before_running": promises.KEPT,
            "heartbeat_stops": promises.KEPT,
            "never_take_over": promises.KEPT,
            "forget_to_requeue": promises.KEPT,
            "take_over_one_entry": promises.KEPT,
            "forget_before_moving": promises.KEPT,
            "same_fence_again": promises.FENCE,
            "crashes_cost_nothing": promises.CRASHES,
            "first_crash_kills": promises.TRIED,
        },
    ),
    # The seed kills one node after 1.3 s, and nobody else.
    "one kill": Bugs(
        KILLS._replace(seed=195, seconds=2.5, pause_seconds=30.0, drain_seconds=10.0),
        {"take_over_late": promises.IN_TIME},
    ),
    "pauses": Bugs(
        PAUSES,
        {"settle_without_the_fence": promises.ONCE, "watch_too_late": promises.ONCE},
        conditions="hear_late",
    ),
    "pauses of failing jobs": Bugs(
        PAUSES._replace(failing=1.0),
        {"rewrite_without_the_fence": promises.FENCE},
        conditions="hear_late",
    ),
    "lost replies": Bugs(
        Plan(
            seed=1,
            seconds=3.0,
            rate=100,
            nodes=2,
            pause_seconds=0,
            slow=0.3,
            drain_seconds=4.0,
            schedules=False,
            workflows=False,
        ),
        {"never_audit": promises.KEPT},
        conditions="lose_replies",
    ),
    "schedules": Bugs(
        FEW._replace(seconds=3.5, drain_seconds=3.0, schedules=True),
        {
            "fire_from_anywhere": schedules.ONCE,
            "move_on_without_a_job": promises.KEPT,
            "leave_a_tick_out": schedules.ONCE,
            "fire_nothing": schedules.ONCE,
            "fire_a_second_early": schedules.EARLY,
            "ignore_the_jitter": schedules.EARLY,
            "ignore_pauses": schedules.PAUSED,
            "overlap_all_the_same": schedules.OVERLAP,
            "queue_nothing": schedules.OVERLAP,
            "let_the_last_run_go_on": schedules.OVERLAP,
            "name_jobs_anew": schedules.NO_TICK,
        },
    ),
    "steps": Bugs(
        Plan(
            seed=1, seconds=3.0, rate=10, nodes=2, pause_seconds=0, drain_seconds=4.0, schedules=False, workflows=False
        ),
        {
            "forget_what_was_recorded": steps.NOT_AGAIN,
            "record_anew": steps.RECORDED,
            "wait_without_a_look": steps.IN_TIME,
            "wake_nobody_by_an_event": steps.HEARD,
            "sleep_for_ever": steps.STRANDED,
            "wake_early": steps.SLEPT,
            "hear_another_event": steps.FIRST,
        },
    ),
    "workflows": Bugs(
        FEW._replace(seconds=5.0, workflows=True),
        {
            "count_no_skipped_node": workflows.ENDS,
            "start_one_need_early": workflows.IN_TURN,
            "ignore_conditions": workflows.AS_SAID,
            "take_continue_for_fail": workflows.AS_SAID,
            "start_in_a_pause": workflows.PAUSED,
            "give_null_for_results": workflows.RESULTS,
            "undo_the_first_first": workflows.UNDOES,
            "undo_nothing": workflows.UNDOES,
        },
        conditions="audit_no_workflows",
    ),
    # Jobs that kill their nodes, among so many others that some are with them each time.
    "killers": Bugs(
        KILLERS,
        {
            "bury_among_others": suspicion.INNOCENT,
            "suspects_have_company": suspicion.BY_ITSELF,
            "everybody_has_the_turn": suspicion.BY_ITSELF,
        },
    ),
    "one killer": Bugs(
        KILLERS._replace(seconds=5.0, rate=100, nodes=2, killers=1),
        {"suspects_are_never_buried": suspicion.GUILTY},
    ),
}
