#!lua flags=allow-oom
-- Moves delivered jobs to the schedule.
-- KEYS  fence, index, scheduled, parked, totals, delayed, then streams
-- ARGV  epoch, channel, then per job: stream, entry and id as `move` takes them, record, delay in ms, failed (0 or 1), what
--         the index says behind its queue and priority
-- USES  stem, clock, move, count, delay, announce, limits
-- Returns as `move` does
local waits, failed, soonest = {}, 0, nil
local reply = move(index, 3, 7, function(at, id, name)
  local due = now + tonumber(ARGV[at + 1])
  redis.call('ZADD', scheduled, due, id)
  redis.call('HSET', parked, id, ARGV[at])
  -- It has had its turn: from a redelivery stream (`…r`) it goes on to the stream itself.
  local home = string.match(name, '^(:.*:%d)')
  redis.call('HSET', index, id, 's' .. home .. ARGV[at + 3])
  waits[home] = (waits[home] or 0) + 1
  if not soonest or due < soonest then soonest = due end
  failed = failed + tonumber(ARGV[at + 2])
  if is_limited(ARGV[at + 3]) and not keeps(ARGV[at + 3]) then release(id, ARGV[at + 3]) end
end)
for place, jobs in pairs(waits) do delay(delayed, place, jobs) end
count(totals, 'failed', failed)
count(totals, 'retried', failed)
tell_of_room()
if soonest then announce(scheduled, channel, soonest, now) end
return reply
