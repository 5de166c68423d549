#!lua
-- Accepts workflows, each for itself: what it is made of, and that it begins.
-- KEYS  index, parked, advance, queues, waiting, then whatever idempotency keys lead to, by number
-- ARGV  channel, seconds, most, then per workflow: id, where it is for the index, record, progress, the number of the key of its
--         idempotency key (0: it has none), fingerprint (16 bytes), whether it has been staged (0 or 1), number of queues, these,
--         number of words of its graph, these (name and value by turns)
--       seconds for which an idempotency key is remembered; most names of queues
-- USES  stem, types, clock, turns, family
-- Returns per workflow: '' (it is new), the id of the one that was there, or why it is refused: {'conflict', id of the other one},
--         {'queues', names in use, names to add, limit}
local wrong = wrong_type(KEYS)
if wrong then return wrong end
local reply, records, places, waits, items, given = {}, {}, {}, {}, {}, {}

-- What an idempotency key says: the id of the workflow that has it, or what refuses this one.
local function remembered(key, fingerprint)
  local held = given[key] or redis.call('GET', KEYS[key])
  if not held then return end
  local first = string.sub(held, 1, 16)
  if string.sub(held, 17) == 'w' .. fingerprint then return first end
  return nil, {'conflict', #held < 33 and '' or first}
end

local function add(list, first, second)
  local n = #list
  list[n + 1], list[n + 2] = first, second
end

local at = 4
while at <= #ARGV do
  local id, place, record, progress = unpack(ARGV, at, at + 3)
  local key, fingerprint, staged, n = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6] == '1', tonumber(ARGV[at + 7])
  local names = {unpack(ARGV, at + 8, at + 7 + n)}
  local from = at + 9 + n
  local words = tonumber(ARGV[from - 1])
  at = from + words
  local known, refused = nil, nil
  if key > 0 then known, refused = remembered(key, fingerprint) end
  local graph, cells = stem .. 'graph:' .. hex(id), stem .. 'progress:' .. hex(id)
  -- It stays as long as anything of the workflow does.
  if not known and not refused and redis.call('EXISTS', cells) == 1 then known = id end
  if not known and not refused then refused = wrong_type({graph}) or admit(queues, names, tonumber(most)) end
  if refused and refused.err then return refused end
  if not known and not refused then
    for part = from, at - 1, 2000 do redis.call('HSET', graph, unpack(ARGV, part, math.min(part + 1999, at - 1))) end
    if staged then redis.call('PERSIST', graph) end
    redis.call('SET', cells, progress)
    if key > 0 then
      given[key] = id .. 'w' .. fingerprint
      redis.call('SET', KEYS[key], given[key], 'EX', seconds)
    end
    add(records, id, record)
    add(places, id, place)
    add(waits, 0, id)
    add(items, now, id .. 'b0.0')
  end
  reply[#reply + 1] = refused or known or ''
end
in_parts('HSET', parked, records)
in_parts('HSET', index, places)
in_parts('ZADD', waiting, waits)
in_parts('ZADD', advance, items)
if items[1] then redis.call('PUBLISH', channel, 'due:0') end
return reply
