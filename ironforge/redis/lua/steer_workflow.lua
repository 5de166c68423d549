#!lua flags=allow-oom
-- Pauses, resumes or cancels a workflow. It may be repeated.
-- KEYS  advance, finishing, stopping
-- ARGV  channel, id, what, schedule, upcoming, holds
--       what: pause, resume or cancel
--       schedule: absent, or that whose next run is to take its place, where it must be for that, and until when, as `kept` has it
-- USES  stem, types, clock, turns, family, progress, flow, go_on, kept
-- Returns 1 or 0, whether it is paused; 'gone' where none of this id goes on, 'over' where it is too late to cancel it, 'kept' where
--         no run takes its place
if schedule and is_kept(schedule, upcoming, holds, now) then return 'kept' end
local wrong = wrong_type(KEYS) or wrong_flow(id)
if wrong then return wrong end
local head = live_head(id)
if not head then return 'gone' end
if what == 'cancel' and head.left == 0 and head.stopped ~= 2 then return 'over' end

if what == 'pause' then
  redis.call('SETRANGE', progress_of(id), PAUSED_AT, '\1')
  return 1
end
if what == 'cancel' and head.left > 0 then
  if head.stopped == 0 then
    local cells, ended = stop_cells(cells_of(id))
    head.left, head.stopped = head.left - ended, 2
    redis.call('SET', progress_of(id), head_of(head) .. cells)
  end
  redis.call('ZADD', stopping, now, id .. 'c')
end
if what == 'resume' and head.paused ~= 0 then
  head.paused = 0
  go_on(id, head.generation, now)
end
if head.left == 0 then redis.call('ZADD', finishing, now, id) end
redis.call('PUBLISH', channel, 'due:0')
return head.paused == 0 and 0 or 1
