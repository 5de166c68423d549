#!lua flags=allow-oom
-- Gives a new node its lease and its epoch, the highest so far, and writes down what it announces of its kinds.
-- KEYS  epoch, nodes, own_fence, queues, roster, announced, kinds
-- ARGV  node, lease_ms, about, runs, versions_kept, kinds_kept, served, then as many queues that it serves,
--       then for each kind: its name, digest, definition
--       about: what it says of itself; runs: its kinds with their digests ('': it does not say)
-- USES  clock, stem, versions, limit_versions
-- Returns the epoch, for how many kinds there was no room, the time, and the limits whose definition changed
local given = redis.call('INCR', epoch)
redis.call('SET', own_fence, given)
redis.call('ZADD', nodes, now + tonumber(lease_ms), node)
redis.call('HSET', roster, node, about)
local first = 8 + tonumber(served)
redis.call('SADD', queues, unpack(ARGV, 8, first - 1))
local changed, refused, run = settle_limits(about, nodes, roster, now), 0, nil

local function announce(kind, digest, definition)
  local stored = redis.call('HGET', kinds, kind)
  -- Most nodes announce the newest: only when it was seen changes then, without reading the rest.
  local known, rest = string.match(stored or '', '^(%[%["' .. digest .. '",%d+,)%d+(,.*)$')
  if known then
    redis.call('HSET', kinds, kind, known .. now .. rest)
    return 0
  end
  if not stored and redis.call('HLEN', kinds) > tonumber(kinds_kept) then return 1 end
  local versions = versions_of(stored)
  add_version(versions, digest, definition, now, tonumber(versions_kept), function(one)
    run = run or run_now(announced)
    return run[kind .. '\n' .. one]
  end)
  redis.call('HSET', kinds, kind, cjson.encode(versions))
  return 0
end

if runs ~= '' then redis.call('HSET', announced, node, runs) end
if first <= #ARGV then redis.call('HSET', kinds, '', now .. '.' .. given) end
for at = first, #ARGV, 3 do refused = refused + announce(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
return {given, refused, now, unpack(changed)}
