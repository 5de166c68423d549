#!lua flags=allow-oom
-- Cancels one job where it was last seen.
-- KEYS  index, scheduled, parked, totals, delayed, bucket, buckets, stream
--       stream: that it was seen in
-- ARGV  channel, id, location, entry, seen, record, seconds, expiry, mark, expired, told, schedule, upcoming, holds
--       location and entry ('' when in no stream) as they were seen, and the record; the cancelled record, the
--       bucket's seconds to live (0: none is kept) and its expiry in ms; its fairness key and its limits as the index says them;
--       expired: 1 when it is cancelled for that, which is for the node alone once it has the job; told: what the index
--       says from now on of one that runs, `c` or, where a limit preempts it, `p`; empty: that is left alone
--       schedule: absent, or that whose next run is to take its place, where it must be for that, and until when, as `kept` has it
-- USES  stem, count, delay, limits, holders, admission, turns, places, lines, enqueue, line_types, kind_line, vacate, withdraw, pending, unique, family, parent, waits, kept, keep_record
-- Returns 'kept' when no run takes its place, 'moved' when it is no longer there, 'running' when its node was told, 'cancelled' when it will never run
if schedule and is_kept(schedule, upcoming, holds, millis()) then return 'kept' end
if redis.call('HGET', index, id) ~= location then return 'moved' end
local runs = entry ~= '' and is_pending(stream, entry)
local wait = string.sub(location, 1, 1) == 'w' and wait_of(id)
local wrong = not runs and (wrong_at(location, mark) or wrong_kin(seen) or wait and wrong_wait(wait))
  or not runs and kin(seen) and wrong_type({stem .. 'journals:' .. string.match(bucket, '}:(.*)$')})
if wrong then return wrong end
if entry ~= '' then
  if runs then
    if expired == '1' or told == '' then return 'running' end
    -- Who asked first is why.
    if string.sub(location, 1, 1) == 'q' then redis.call('HSET', index, id, told .. string.sub(location, 2)) end
    redis.call('PUBLISH', channel, 'cancel:' .. id)
    return 'running'
  end
  if redis.call('XDEL', stream, entry) == 0 then return 'moved' end
else
  if redis.call('HGET', parked, id) ~= seen then return 'moved' end
  withdraw(scheduled, parked, delayed, id, location)
  if wait then
    end_wait(id, wait)
    delay(delayed, location, -1)
  end
end
redis.call('HDEL', index, id)
release_key(id, seen)
if is_limited(mark) then
  release(id, mark, entry ~= '')
  enqueued(parked)
end
count(totals, 'cancelled', 1)
count(totals, 'expired', tonumber(expired))
tell_parent(record)
if kin(record) then
  end_family(id, seconds, expiry)
  end_journal(id, seconds, bucket)
end
keep_record(bucket, buckets, id, record, seconds, expiry)
return 'cancelled'
