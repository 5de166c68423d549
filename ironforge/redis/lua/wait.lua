#!lua flags=allow-oom
-- Takes delivered jobs out of their streams, to wait for a time, an event or their children. One whose journal or event is
-- of the wrong type runs again in a while instead, and holds up no other.
-- KEYS  fence, index, parked, delayed, scheduled, wake, room, then streams
-- ARGV  epoch, channel, then per job: stream, entry and id as `move` takes them, record, mark, its journal, name and value of
--         the entry, fence, for what it waits (`sleep`, `event` or `children`), the event's name, until when (ms; 0: for ever)
-- USES  stem, clock, move, delay, announce, limits, holders
-- Returns as `move` does
local WIDTH, LATER = 12, 5000
local waits, soonest, due_again = {}, {}, nil
local wrong = wrong_type({stem .. 'waiting:sleep', stem .. 'waiting:event', stem .. 'waiting:children'})
if wrong then return wrong end

local function put(letter, at, id, home, mark)
  redis.call('HSET', parked, id, ARGV[at])
  redis.call('HSET', index, id, letter .. home .. mark)
  waits[home] = (waits[home] or 0) + 1
  if is_limited(mark) then release(id, mark, false, keeps(mark)) end
end

local function run_later(at, id, home, mark)
  due_again = now + LATER
  redis.call('ZADD', scheduled, due_again, id)
  put('s', at, id, home, mark)
end

local reply = move(index, 3, WIDTH, function(at, id, name)
  local mark, journal, entry, what, event = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 6], ARGV[at + 7]
  local home, due = string.match(name, '^(:.*:%d)'), tonumber(ARGV[at + 8])
  if due == 0 then due = math.huge end
  if wrong_type({journal}) then return run_later(at, id, home, mark) end
  -- One that it has begun to wait for before keeps its time.
  redis.call('HSETNX', journal, entry, ARGV[at + 4])
  if what == 'event' and wrong_type({stem .. 'event:' .. event, stem .. 'eventwaiters:' .. event}) then
    return run_later(at, id, home, mark)
  end
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
  put('w', at, id, home, mark)
  if due < (soonest[what] or math.huge) then soonest[what] = due end
end)
for place, jobs in pairs(waits) do delay(delayed, place, jobs) end
tell_of_room()
for what, due in pairs(soonest) do announce(stem .. 'waiting:' .. what, channel, due, now) end
if due_again then announce(scheduled, channel, due_again, now) end
if redis.call('EXISTS', wake) == 1 then redis.call('PUBLISH', channel, 'due:0') end
return reply
