#!lua flags=allow-oom
-- Moves up to 500 jobs to their streams that wait no longer: their time is over, or what they waited for is there. Their
-- journals say what came of it. One whose own keys are of the wrong type waits on, and holds up no other.
-- KEYS  fence, index, parked, delayed, queues, quarantine, wake, families
-- ARGV  epoch
-- USES  stem, clock, expire_event, delay, limits, holders, unique, admission, turns, places, lines, enqueue, line_types, family, parent, progress, unheard, waits, next_wake
-- Returns in how many ms to look again (-1: when something happens), how many moved, then for each of them whose time was
--         over by how many ms it is late
local MOST, BYTES = 500, 4 * 1024 * 1024
-- After how many ms those are looked at again that could not be woken.
local LATER = 5000
local left, bytes, found, events, parents, seen, aside, items = MOST, BYTES, {}, {}, {}, {}, {}, {}

local function body_of(event)
  local known = redis.call('GET', stem .. 'event:' .. event)
  local till, body = string.match(known or '', '^(%d+):(.*)$')
  return body, till
end

-- Whether the keys of an event are of the wrong type, of which there need be none.
local function is_wrong(event)
  return event ~= '' and wrong_type({stem .. 'event:' .. event, stem .. 'eventwaiters:' .. event})
end

-- Nothing is written before all that moves is known. `result`: of its wait; nil: as its entry says.
local function find(id, wait, result, late)
  found[#found + 1] = {id = id, wait = wait, result = result, late = late}
  left, bytes = left - 1, bytes - #(result or '')
  local place, mark = string.match(redis.call('HGET', index, id) or '', '^w:([^:]*:%d)(.*)$')
  local wrong = place and not seen[place]
    and wrong_type({stem .. 'q:' .. place, stem .. 'fair:' .. place, stem .. 'turns:' .. place})
  if place then seen[place] = true end
  return wrong or place and wrong_mark(place, mark) or wrong_wait(wait)
end

local function find_due(what)
  local due = redis.call('ZRANGE', stem .. 'waiting:' .. what, '-inf', now, 'BYSCORE', 'LIMIT', 0, left, 'WITHSCORES')
  for at = 1, #due, 2 do
    if bytes <= 0 then return end
    local wait = wait_of(due[at])
    if wait.broken or is_wrong(wait.event) then
      aside[#aside + 1] = {what = what, id = due[at]}
    else
      local result = what == 'event' and (body_of(wait.event) or '') or 'null'
      local wrong = find(due[at], wait, result, now - tonumber(due[at + 1]))
      if wrong then return wrong end
    end
  end
end

local function find_waiters(event)
  -- The audit finds those that wait for it once the key is gone.
  if is_wrong(event) then
    events[#events + 1] = {name = event}
    return
  end
  local body, till = body_of(event)
  local most = math.min(left, math.max(1, math.floor(bytes / math.max(1, #(body or '')))))
  local waiters = stem .. 'eventwaiters:' .. event
  local ids = redis.call('SRANDMEMBER', waiters, most)
  events[#events + 1] = {name = event, till = till, waiters = waiters}
  for _, id in ipairs(body and ids or {}) do
    local wait = wait_of(id)
    -- What waits for something else now is a leftover.
    if not wait.broken and wait.event ~= event then wait = {event = event, is_none = true} end
    if wait.broken then
      aside[#aside + 1] = {what = 'event', id = id}
    else
      local wrong = find(id, wait, body)
      if wrong then return wrong end
    end
  end
end

local function find_unheard(id)
  local wrong = wrong_type({stem .. 'advance'})
  if wrong then return wrong end
  local read, is_all = hear(id, now, bytes, items)
  bytes = bytes - read
  if is_all then parents[#parents + 1] = {id = id} end
end

local function find_parent(id)
  local location = redis.call('HGET', index, id)
  local wait = location and string.sub(location, 1, 1) == 'w' and wait_of(id)
  local is_job = location and not wait or wait and wait.what ~= ''
  if not is_job and redis.call('EXISTS', stem .. 'progress:' .. hex(id)) == 1 then return find_unheard(id) end
  parents[#parents + 1] = {id = id, is_gone = not location}
  if wait and not wait.broken and wait.what == 'children' and open_children(id) <= wait.low then
    return find(id, wait)
  end
end

local wrong = find_due('sleep') or find_due('event')
if wrong then return wrong end
for _, member in ipairs(left > 0 and bytes > 0 and redis.call('ZRANGE', wake, 0, left - 1) or {}) do
  if left <= 0 or bytes <= 0 then break end
  local event = string.match(member, '^e:(.*)$')
  wrong = #member == 16 and find_parent(member) or event and find_waiters(event)
  if wrong then return wrong end
end

-- What became of it, in the entry of its wait.
local function close(wait, result)
  if wait.low > 0 then return redis.call('HSET', wait.journal, '', wait.fence) end
  local value = redis.call('HGET', wait.journal, wait.entry)
  local sound, fields = pcall(values, value or '', 2, 5)
  if not sound or fields[1] ~= '\1' then return end
  fields[1], fields[4] = '\2', '\207' .. struct.pack('>I8', now)
  if result then fields[2] = '\198' .. struct.pack('>I4', #result) .. result end
  redis.call('HSET', wait.journal, wait.entry, '\149' .. table.concat(fields), '', wait.fence)
end

if items[1] then
  in_parts('ZADD', stem .. 'advance', items)
  redis.call('PUBLISH', stem .. 'signals', 'due:0')
end
local moved, reply = {}, {0, 0}
for _, job in ipairs(found) do
  local id, wait = job.id, job.wait
  local location, record = redis.call('HGET', index, id) or '', redis.call('HGET', parked, id)
  local place, mark = string.match(location, '^w:(%w[%w._-]*:[0-3])(.*)$')
  if wait.is_none then
    redis.call('SREM', stem .. 'eventwaiters:' .. wait.event, id)
  elseif place and record then
    end_wait(id, wait)
    if wait.entry then close(wait, job.result) end
    redis.call('HDEL', parked, id)
    moved[place], reply[2] = (moved[place] or 0) + 1, reply[2] + 1
    local names = {stem .. 'q:' .. place, stem .. 'fair:' .. place, stem .. 'turns:' .. place}
    redis.call('HSET', index, id, enqueue(names[1], names[2], names[3], id, record, mark))
    if job.late then reply[#reply + 1] = job.late end
  else
    end_wait(id, wait)
    -- One that the index knows elsewhere is there; what it has here is a leftover.
    if location == '' or string.sub(location, 1, 1) == 'w' then
      local reason = record and 'its wait is over, but it is in no known queue' or 'its wait is over, but its record is gone'
      redis.call('XADD', quarantine, '*', 'id', id, 'record', record or '', 'reason', reason)
      delay(delayed, location, -1)
      redis.call('HDEL', index, id)
      redis.call('HDEL', parked, id)
    end
  end
end
for _, one in ipairs(aside) do redis.call('ZADD', stem .. 'waiting:' .. one.what, 'XX', now + LATER, one.id) end
enqueued(parked)
for place, jobs in pairs(moved) do
  delay(delayed, 'w:' .. place, -jobs)
  redis.call('SADD', queues, string.match(place, '^[^:]*'))
end
for _, parent in ipairs(parents) do
  redis.call('ZREM', wake, parent.id)
  if parent.is_gone then forget_family(parent.id) end
end
for _, event in ipairs(events) do
  if not event.waiters then
    redis.call('ZREM', wake, 'e:' .. event.name)
  elseif not event.till or redis.call('EXISTS', event.waiters) == 0 then
    redis.call('ZREM', wake, 'e:' .. event.name)
    if event.till and redis.call('SISMEMBER', stem .. 'copies', event.name) == 0 then
      expire_event(stem .. 'event:' .. event.name, event.till, now)
    end
  end
end
reply[1] = next_wake(now)
return reply
