#!lua
-- Accepts workflows, each for itself: what it is made of, and that it begins.
-- KEYS  index, parked, advance, queues, waiting, delayed, then whatever idempotency keys lead to, by number
-- ARGV  channel, seconds, most, then per workflow: id, where it is for the index, record, progress, the number of the key of its
--         idempotency key (0: it has none), fingerprint (16 bytes), how many fields its graph then has where a part of it has been staged (else 0), how many
--         results have been copied, number of queues, these, number of words of its graph, these (name and value by turns)
--       seconds for which an idempotency key is remembered; most names of queues
-- USES  stem, types, clock, delay, turns, family
-- Returns per workflow: '' (it is new), the id of the one that was there, or why it is refused: {'conflict', id of the other one, 'w' where that
--         is a workflow as well},
--         {'queues', names in use, names to add, limit}, {'unstaged'} where what was staged has gone, {'wrong', error}
local wrong = wrong_type(KEYS)
if wrong then return wrong end
local reply, records, places, waits, items, given, begun = {}, {}, {}, {}, {}, {}, {}

-- What an idempotency key says: the id of the workflow that has it, or what refuses this one.
local function remembered(key, fingerprint)
  local held = given[key] or redis.call('GET', KEYS[key])
  if not held then return end
  local first = string.sub(held, 1, 16)
  if string.sub(held, 17) == 'w' .. fingerprint then return first end
  return nil, {'conflict', #held < 33 and '' or first, string.sub(held, 17, 17)}
end

local function refusal(graph, results, names, staged, copied, words)
  local found = wrong_type({graph, results})
  if found then return {'wrong', found.err} end
  if staged > 0 and redis.call('HLEN', graph) + words / 2 ~= staged then return {'unstaged'} end
  if copied > 0 and redis.call('HLEN', results) ~= copied then return {'unstaged'} end
  return admit(queues, names, tonumber(most))
end

local function add(list, first, second)
  local n = #list
  list[n + 1], list[n + 2] = first, second
end

local at = 4
while at <= #ARGV do
  local id, place, record, progress = unpack(ARGV, at, at + 3)
  local key, fingerprint, staged = tonumber(ARGV[at + 4]), ARGV[at + 5], tonumber(ARGV[at + 6])
  local copied, n = tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local names = {unpack(ARGV, at + 9, at + 8 + n)}
  local from = at + 10 + n
  local words = tonumber(ARGV[from - 1])
  at = from + words
  local known, refused = nil, nil
  if key > 0 then known, refused = remembered(key, fingerprint) end
  local graph, cells, results = stem .. 'graph:' .. hex(id), stem .. 'progress:' .. hex(id), stem .. 'results:' .. hex(id)
  -- It stays as long as anything of the workflow does.
  if not known and not refused and redis.call('EXISTS', cells) == 1 then known = id end
  if not known and not refused then refused = refusal(graph, results, names, staged, copied, words) end
  if not known and not refused then
    for part = from, at - 1, 2000 do redis.call('HSET', graph, unpack(ARGV, part, math.min(part + 1999, at - 1))) end
    if staged > 0 then redis.call('PERSIST', graph) end
    if copied > 0 then redis.call('PERSIST', results) end
    redis.call('SET', cells, progress)
    if key > 0 then
      given[key] = id .. 'w' .. fingerprint
      redis.call('SET', KEYS[key], given[key], 'EX', seconds)
    end
    add(records, id, record)
    add(places, id, place)
    begun[place] = (begun[place] or 0) + 1
    add(waits, '+inf', id)
    add(items, now, id .. 'b0.0')
  end
  reply[#reply + 1] = refused or known or ''
end
in_parts('HSET', parked, records)
in_parts('HSET', index, places)
in_parts('ZADD', waiting, waits)
in_parts('ZADD', advance, items)
for place, workflows in pairs(begun) do delay(delayed, place, workflows) end
if items[1] then redis.call('PUBLISH', channel, 'due:0') end
return reply
