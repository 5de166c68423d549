#!lua flags=allow-oom
-- Gives a new node its lease and its epoch, the highest so far, and writes down what it announces of its kinds.
-- KEYS  epoch, nodes, own_fence, queues, roster, announced, kinds
-- ARGV  node, lease_ms, about, runs, again, versions_kept, kinds_kept, served, then as many queues that it serves,
--       then for each kind: its name, digest, definition
--       about: what it says of itself; runs: its kinds with their digests ('': it does not say)
--       again: 1 when this process announced them before: they are no newer than what was announced meanwhile
-- USES  clock, versions
-- Returns the epoch, for how many kinds there was no room, and the time
local given = redis.call('INCR', epoch)
redis.call('SET', own_fence, given)
redis.call('ZADD', nodes, now + tonumber(lease_ms), node)
redis.call('HSET', roster, node, about)
local first = 9 + tonumber(served)
redis.call('SADD', queues, unpack(ARGV, 9, first - 1))
if runs == '' then return {given, 0, now} end

local function announce(kind, digest, definition)
  local stored = redis.call('HGET', kinds, kind)
  -- Most nodes announce what was announced last: only its times change then, without reading the rest.
  local rest = stored and string.match(stored, '^%[%["' .. digest .. '",%d+,%d+(,.*)$')
  if rest then
    if again == '0' then redis.call('HSET', kinds, kind, table.concat({'[["', digest, '",', now, ',', now, rest})) end
    return 0
  end
  if not stored and redis.call('HLEN', kinds) > tonumber(kinds_kept) then return 1 end
  local versions, version = versions_of(stored), {digest, now, now, definition}
  local place = again == '1' and #versions + 1 or 1
  for at, known in ipairs(versions) do
    if known[1] == digest then
      if again == '1' then place, version[2] = at, known[2] end
      table.remove(versions, at)
      break
    end
  end
  table.insert(versions, place, version)
  while #versions > tonumber(versions_kept) do table.remove(versions) end
  redis.call('HSET', kinds, kind, cjson.encode(versions))
  return 0
end

redis.call('HSET', announced, node, runs)
if first > #ARGV then return {given, 0, now} end
redis.call('HSET', kinds, '', now .. '.' .. given)
local refused = 0
for at = first, #ARGV, 3 do refused = refused + announce(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
return {given, refused, now}
