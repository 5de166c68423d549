#!lua flags=allow-oom
-- Moves up to 500 due jobs to their streams.
-- KEYS  fence, index, scheduled, parked, quarantine, delayed, queues, then streams, fair, behind, declined and turns of some queues
-- ARGV  epoch, then the queues that have these streams and no others, if any: what belongs to none of them is put aside,
--         or it would be due for ever
-- USES  stem, clock, delay, limits, holders, admission, turns, places, lines, enqueue, line_types, next_tick, next_wake
-- Returns the other queues of due jobs, ms to the next due time (-1: none is scheduled), in how many ms to look at a schedule (-1:
--         there is none), in how many ms a job waits no longer (-1: as far as is known), what is to be done for workflows (bits; 1:
--         to move some on, 2: all else), then for each job that moved by how many ms it is late
local streams = {q = {}, fair = {}, turns = {}, behind = {}, declined = {}}
local settled = {}
for at = 2, #ARGV do settled[ARGV[at]] = true end
for key = 8, #KEYS do
  local word, name = string.match(KEYS[key], '}:(%a+)(:.*)$')
  streams[word]['s' .. name] = KEYS[key]
end
local due, ids = redis.call('ZRANGE', scheduled, '-inf', now, 'BYSCORE', 'LIMIT', 0, 500, 'WITHSCORES'), {}
for at = 1, #due, 2 do ids[#ids + 1] = due[at] end
local locations = #ids > 0 and redis.call('HMGET', index, unpack(ids)) or {}
for _, location in ipairs(locations) do
  local place, mark = string.match(location or '', '^s:([^:]*:%d)(:%d+:.+)$')
  local wrong = mark and wrong_mark(place, mark)
  if wrong then return wrong end
end
-- What goes on in workflows is for others to do.
local flows = {stem .. 'finishing', stem .. 'stopping', stem .. 'ready'}
local is_quiet = redis.call('EXISTS', stem .. 'wake', stem .. 'advance', unpack(flows)) == 0
local work = is_quiet and 0 or redis.call('EXISTS', stem .. 'advance') + 2 * math.min(1, redis.call('EXISTS', unpack(flows)))
local wake_ms = next_wake(now, is_quiet)
local wrong = wake_ms == 0 and wrong_type({stem .. 'wake'})
if wrong then return wrong end
local reply, unknown, waits = {{}, -1, next_look(now), wake_ms, work}, {}, {}
for number, id in ipairs(ids) do
  local place = locations[number] or ''
  local stream, record, name, mark = streams.q[place], redis.call('HGET', parked, id), place, ''
  if not stream then
    name, mark = string.match(place, '^(s:[^:]*:%d)(:%d+:.+)$')
    stream = streams.q[name or '']
  end
  local queue = not stream and string.match(place, '^s:([^:]*):')
  local fair, turns = streams.fair[name or ''], streams.turns[name or '']
  if stream and record then
    redis.call('ZREM', scheduled, id)
    redis.call('HDEL', parked, id)
    waits[name] = (waits[name] or 0) + 1
    redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
    reply[#reply + 1] = now - tonumber(due[2 * number])
  elseif queue and not settled[queue] then
    if not unknown[queue] then table.insert(reply[1], queue) end
    unknown[queue] = true
  else
    redis.call('ZREM', scheduled, id)
    waits[place] = (waits[place] or 0) + 1
    -- One that the index knows elsewhere is there; what it has here is a leftover.
    if not string.match(place, '^[qcpflkw]:') and place ~= 'd' then
      local reason = record and 'due, but in no known queue' or 'due, but its record is gone'
      redis.call('XADD', quarantine, '*', 'id', id, 'record', record or '', 'reason', reason)
      redis.call('HDEL', index, id)
    end
    if place ~= 'd' then redis.call('HDEL', parked, id) end
  end
end
enqueued(parked)
for place, count in pairs(waits) do
  delay(delayed, place, -count)
  -- It may have been forgotten: an older version does not count what is scheduled.
  if streams.q[place] then redis.call('SADD', queues, string.match(place, '^s:([^:]*):')) end
end
local following = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
if following[2] then
  reply[2] = math.max(0, tonumber(following[2]) - now)
elseif redis.call('EXISTS', stem .. 'waiting:sleep', stem .. 'waiting:event', stem .. 'waiting:children', stem .. 'waiting:workflow') == 0 then
  redis.call('DEL', delayed)
end
return reply
