#!lua flags=allow-oom
-- Moves delivered jobs to the schedule; those whose target throttles back into line, which stops for so long.
-- KEYS  fence, index, scheduled, parked, totals, delayed, in_use, stops, probes, room, dueroom, then streams
-- ARGV  epoch, channel, then per job: stream, entry and id as `move` takes them, record, delay in ms, failed (0 or 1), what
--         the index says behind its queue and priority, in the same form keys that are throttled, each with its ms (or '')
-- USES  stem, clock, move, count, delay, announce, limits, holders, admission, turns, places, lines, enqueue, line_types
-- Returns as `move` does
local waits, failed, soonest = {}, 0, nil

-- At the head of its line, by its first arrival: with the schedule another one would be the first to try again.
local function stand_back(at, id, home, mark, throttled)
  for _, claim in ipairs((claims_of(throttled))) do throttle(claim.key, now + tonumber(claim.units)) end
  release(id, mark, false, keeps(mark))
  redis.call('HSET', index, id, enqueue(stem .. 'q' .. home, nil, nil, id, ARGV[at], mark))
end

for at = 3, #ARGV, 8 do
  if ARGV[at + 7] ~= '' then
    local place = string.match(KEYS[tonumber(ARGV[at])], '}:q:(.*:%d)')
    local wrong = wrong_type({stem .. 'fair:' .. place, stem .. 'turns:' .. place}) or wrong_line(place, claims_of(ARGV[at + 6]))
    if wrong then return wrong end
  end
end
local reply = move(index, 3, 8, function(at, id, name)
  -- It has had its turn: from a redelivery stream (`…r`) it goes on to the stream itself.
  local home = string.match(name, '^(:.*:%d)')
  if ARGV[at + 4] ~= '' then return stand_back(at, id, home, ARGV[at + 3], ARGV[at + 4]) end
  local due = now + tonumber(ARGV[at + 1])
  redis.call('ZADD', scheduled, due, id)
  redis.call('HSET', parked, id, ARGV[at])
  redis.call('HSET', index, id, 's' .. home .. ARGV[at + 3])
  waits[home] = (waits[home] or 0) + 1
  if not soonest or due < soonest then soonest = due end
  failed = failed + tonumber(ARGV[at + 2])
  if is_limited(ARGV[at + 3]) then release(id, ARGV[at + 3], false, keeps(ARGV[at + 3])) end
end)
for place, jobs in pairs(waits) do delay(delayed, place, jobs) end
count(totals, 'failed', failed)
count(totals, 'retried', failed)
enqueued(parked)
if soonest then announce(scheduled, channel, soonest, now) end
return reply
