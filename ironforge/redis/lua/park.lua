#!lua flags=allow-oom
-- Moves delivered jobs to the schedule.
-- KEYS  fence, index, scheduled, parked, totals, delayed, then streams
-- ARGV  epoch, channel, then per job: stream (number of its key), entry, id, record, delay in ms, failed (0 or 1),
--         what the index says behind its queue and priority
-- Returns how many moved, then the numbers of those that are to be cancelled instead
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 4)
if wrong then return wrong end
local index, scheduled, parked, totals, delayed = unpack(KEYS, 2, 6)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply, waits, failed, soonest = {0}, {}, 0, nil
for at = 3, #ARGV, 7 do
  local stream, entry, id = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local name = string.match(stream, '}:q(:.*)$')
  local place = redis.call('HGET', index, id)
  if place == 'c' .. name .. ':' .. entry then
    reply[#reply + 1] = (at - 3) / 7
  -- Only who takes an entry off the pending list may write: an earlier try may have done so, unanswered.
  elseif take(stream, entry, place == 'q' .. name .. ':' .. entry) then
    local due = now + tonumber(ARGV[at + 4])
    redis.call('ZADD', scheduled, due, id)
    redis.call('HSET', parked, id, ARGV[at + 3])
    -- It has had its turn: from a twin (`…r`) it goes on to the stream itself.
    local home = string.match(name, '^(:.*:%d)')
    redis.call('HSET', index, id, 's' .. home .. ARGV[at + 6])
    waits[home] = (waits[home] or 0) + 1
    if not soonest or due < soonest then soonest = due end
    failed = failed + tonumber(ARGV[at + 5])
    reply[1] = reply[1] + 1
  end
end
for place, count in pairs(waits) do delay(delayed, place, count) end
if failed > 0 then
  redis.pcall('HINCRBY', totals, 'failed', failed)
  redis.pcall('HINCRBY', totals, 'retried', failed)
end
if soonest then
  local earliest = tonumber(redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2])
  if earliest == soonest then redis.call('PUBLISH', ARGV[2], 'due:' .. (soonest - now)) end
end
return reply
