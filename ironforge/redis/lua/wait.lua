#!lua flags=allow-oom
-- Takes delivered jobs out of their streams, to wait for a time, an event or their children.
-- KEYS  fence, index, parked, delayed, wake, room, then streams
-- ARGV  epoch, channel, then per job: stream, entry and id as `move` takes them, record, mark, its journal, name and value of
--         the entry, fence, for what it waits (`sleep`, `event` or `children`), the event's name, until when (ms; 0: for ever)
-- USES  stem, clock, move, delay, announce, limits, holders
-- Returns as `move` does
local WIDTH = 12
local touched, waits, soonest = {}, {}, {}
for at = 3, #ARGV, WIDTH do
  touched[#touched + 1], touched[#touched + 2] = ARGV[at + 5], stem .. 'waiting:' .. ARGV[at + 9]
  if ARGV[at + 9] == 'event' then
    touched[#touched + 1], touched[#touched + 2] = stem .. 'event:' .. ARGV[at + 10], stem .. 'eventwaiters:' .. ARGV[at + 10]
  end
end
local wrong = wrong_type(touched)
if wrong then return wrong end

local reply = move(index, 3, WIDTH, function(at, id, name)
  local mark, journal, entry, what, event = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 6], ARGV[at + 7]
  local home, due = string.match(name, '^(:.*:%d)'), tonumber(ARGV[at + 8])
  if due == 0 then due = math.huge end
  -- One that it has begun to wait for before keeps its time.
  redis.call('HSETNX', journal, entry, ARGV[at + 4])
  redis.call('HSET', journal, '', ARGV[at + 5] .. ' ' .. what .. ' ' .. event .. '\n' .. entry)
  if what == 'event' then
    redis.call('SADD', stem .. 'eventwaiters:' .. event, id)
    -- It is there already, and stays until this one has it.
    if redis.call('EXISTS', stem .. 'event:' .. event) == 1 then
      redis.call('PERSIST', stem .. 'event:' .. event)
      redis.call('ZADD', wake, now, 'e:' .. event)
    end
  elseif what == 'children' then
    -- The last of them may have ended already.
    redis.call('ZADD', wake, now, id)
  end
  redis.call('ZADD', stem .. 'waiting:' .. what, due == math.huge and '+inf' or due, id)
  redis.call('HSET', parked, id, ARGV[at])
  redis.call('HSET', index, id, 'w' .. home .. mark)
  waits[home] = (waits[home] or 0) + 1
  if due < (soonest[what] or math.huge) then soonest[what] = due end
  if is_limited(mark) then release(id, mark, false, keeps(mark)) end
end)
for place, jobs in pairs(waits) do delay(delayed, place, jobs) end
tell_of_room()
for what, due in pairs(soonest) do announce(stem .. 'waiting:' .. what, channel, due, now) end
if redis.call('EXISTS', wake) == 1 then redis.call('PUBLISH', channel, 'due:0') end
return reply
