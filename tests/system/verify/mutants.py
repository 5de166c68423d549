"""Nodes with planted bugs: `python -m tests.system.verify.mutants NAME…` runs a node of the verification with them.

Each is a mistake that job queues really make. The verification is worth something only if it finds them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ironforge.runtime import node
from ironforge.verify.handlers import forge
from tests.system.verify import bugs_of_flow as flow
from tests.system.verify import bugs_of_jobs as jobs
from tests.system.verify import bugs_of_leases as leases
from tests.system.verify import bugs_of_schedules as schedules
from tests.system.verify import bugs_of_steps as steps
from tests.system.verify import bugs_of_suspects as suspects
from tests.system.verify import bugs_of_workflows as workflows

MUTANTS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        jobs.settle_without_the_fence,
        jobs.watch_too_late,
        jobs.settle_twice,
        jobs.leave_the_index_behind,
        jobs.settle_before_running,
        jobs.delete_before_running,
        jobs.start_at_the_end,
        jobs.lose_replies,
        jobs.never_audit,
        leases.hear_late,
        leases.heartbeat_stops,
        leases.renew_nothing,
        leases.trust_the_own_clock,
        leases.take_over_the_living,
        leases.never_take_over,
        leases.take_over_late,
        leases.forget_to_requeue,
        leases.take_over_one_entry,
        leases.forget_before_moving,
        leases.consumers_stay,
        jobs.same_fence_again,
        jobs.rewrite_without_the_fence,
        leases.crashes_cost_nothing,
        leases.first_crash_kills,
        suspects.bury_among_others,
        suspects.suspects_have_company,
        suspects.everybody_has_the_turn,
        suspects.suspects_are_never_buried,
        jobs.forget_whose_turn_it_is,
        jobs.give_a_turn_twice,
        jobs.leave_the_turns_behind,
        jobs.never_retry,
        jobs.retry_for_ever,
        jobs.due_at_once,
        jobs.cancel_what_failed,
        jobs.park_in_two_steps,
        jobs.share_the_context,
        jobs.end_unnoticed,
        jobs.let_tasks_out,
        flow.let_one_more_in,
        flow.use_up_nothing,
        flow.overtake_a_retry,
        flow.keep_the_place,
        flow.say_nothing_of_room,
        flow.drop_the_key_at_a_retry,
        flow.take_nothing_declined,
        flow.start_what_has_expired,
        flow.cancel_nothing_expired,
        flow.charge_one_unit,
        flow.count_one_more,
        flow.let_new_ones_wait,
        flow.cancel_the_newest,
        flow.cancel_all_holders,
        flow.go_on_after_a_death,
        flow.keep_the_place_at_a_retry,
        flow.keep_the_key,
        flow.drop_the_key_as_it_is_let_in,
        schedules.fire_from_anywhere,
        schedules.move_on_without_a_job,
        schedules.leave_a_tick_out,
        schedules.fire_a_second_early,
        schedules.ignore_the_jitter,
        schedules.ignore_pauses,
        schedules.overlap_all_the_same,
        schedules.queue_nothing,
        schedules.let_the_last_run_go_on,
        schedules.name_jobs_anew,
        schedules.fire_nothing,
        steps.forget_what_was_recorded,
        steps.record_anew,
        steps.wait_without_a_look,
        steps.wake_nobody_by_an_event,
        steps.sleep_for_ever,
        steps.wake_early,
        steps.hear_another_event,
        workflows.audit_no_workflows,
        workflows.count_no_skipped_node,
        workflows.start_one_need_early,
        workflows.ignore_conditions,
        workflows.take_continue_for_fail,
        workflows.start_in_a_pause,
        workflows.give_null_for_results,
        workflows.undo_the_first_first,
        workflows.undo_nothing,
    )
}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        MUTANTS[name]()
    sys.exit(node.run_node(forge))
