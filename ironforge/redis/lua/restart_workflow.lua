#!lua
-- Has a workflow go on that has ended, or lies dead, with another graph, which was staged: all at once, if it still is as it was
-- seen. It may be repeated.
-- KEYS  index, parked, dead, delayed, queues, advance, waiting, staged, graph, progress, order, results
-- ARGV  channel, id, token, fields, seen, bucket, record, place, cells, item, most, then the names of its queues, those of results
--         that go, numbers of nodes in the order in which they succeeded, and of each job that comes back under its id: id,
--         number of its node, record that was seen, new record, `<queue>:<priority>`, mark. Each of these lists begins
--         with how many words it has
--       token: in field `f` of what was staged, which has so many fields; seen: its record, in this bucket ('': it lies dead);
--       record, place: the new ones; cells: how far it is from now on; item: what begins it; most names of queues
-- USES  stem, types, clock, delay, limits, holders, admission, turns, places, lines, enqueue, line_types, pending, unique, family
-- Returns 1, or 0: it is not as it was seen; {'unstaged'}, {'back'}: so is a job that was to come back; {'queues', names in use,
--         names to add, limit}
if redis.call('TYPE', graph).ok == 'hash' and redis.call('HGET', graph, 'f') == token then return 1 end
local lists, at = {}, 12
for number = 1, 4 do
  local words = tonumber(ARGV[at])
  lists[number], at = {at + 1, at + words}, at + 1 + words
end
local function words_of(number)
  local words = {}
  for place = lists[number][1], lists[number][2] do words[#words + 1] = ARGV[place] end
  return words
end
local names, gone, numbers = words_of(1), words_of(2), words_of(3)
local first, last = lists[4][1], lists[4][2]

local kept = bucket == '' and stem .. 'workflows:dead' or stem .. 'workflows:' .. bucket
local wrong = wrong_type(KEYS) or wrong_type({kept, stem .. 'families', bucket ~= '' and stem .. bucket or parked})
for job = first, last, 6 do
  local where = ARGV[job + 4]
  wrong = wrong or wrong_type({stem .. 'q:' .. where, stem .. 'fair:' .. where, stem .. 'turns:' .. where})
    or wrong_mark(where, ARGV[job + 5])
end
if wrong then return wrong end
if bucket == '' then
  if redis.call('HGET', index, id) ~= 'd' or redis.call('HGET', parked, id) ~= seen then return 0 end
elseif redis.call('HEXISTS', index, id) == 1 or redis.call('HGET', stem .. bucket, id) ~= seen then
  return 0
end
if redis.call('EXISTS', graph, progress) < 2 then return 0 end
if redis.call('HLEN', staged) ~= tonumber(fields) then return {'unstaged'} end
for job = first, last, 6 do
  if redis.call('HGET', index, ARGV[job]) ~= 'd' or redis.call('HGET', parked, ARGV[job]) ~= ARGV[job + 2] then return {'back'} end
end
local full = admit(queues, names, tonumber(most))
if full then return full end

redis.call('RENAME', staged, graph)
redis.call('PERSIST', graph)
redis.call('SET', progress, cells)
redis.call('UNLINK', order)
in_parts('RPUSH', order, numbers)
in_parts('HDEL', results, gone)
redis.call('PERSIST', results)
if bucket == '' then redis.call('ZREM', dead, id) else redis.call('HDEL', stem .. bucket, id) end
redis.call('ZREM', kept, id)
redis.call('HSET', parked, id, record)
redis.call('HSET', index, id, place)
redis.call('ZADD', waiting, 'inf', id)
delay(delayed, place, 1)
for job = first, last, 6 do
  local back, number, _, new, where, mark = unpack(ARGV, job, job + 5)
  redis.call('ZREM', dead, back)
  redis.call('HDEL', parked, back)
  leave_children(back, new)
  revive(back, mark)
  redis.call('SADD', queues, string.match(where, '^[^:]*'))
  redis.call('HSET', graph, 'i' .. number, back)
  local stream, fair, turns = stem .. 'q:' .. where, stem .. 'fair:' .. where, stem .. 'turns:' .. where
  redis.call('HSET', index, back, enqueue(stream, fair, turns, back, new, mark))
end
enqueued(parked)
redis.call('ZADD', advance, now, item)
redis.call('PUBLISH', channel, 'due:0')
return 1
