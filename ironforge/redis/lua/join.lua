#!lua flags=allow-oom
-- Gives a new node its lease and its epoch, the highest so far, and writes down what it announces of its kinds.
-- KEYS  epoch, nodes, own_fence, queues, roster, announced, kinds
-- ARGV  node, lease_ms, about, runs, versions_kept, kinds_kept, served, then as many queues that it serves,
--       then for each kind: its name, digest, definition
--       about: what it says of itself; runs: its kinds with their digests ('': it does not say)
-- USES  clock, versions
-- Returns the epoch, for how many kinds there was no room, and the time
local given = redis.call('INCR', epoch)
redis.call('SET', own_fence, given)
redis.call('ZADD', nodes, now + tonumber(lease_ms), node)
redis.call('HSET', roster, node, about)
local first = 8 + tonumber(served)
redis.call('SADD', queues, unpack(ARGV, 8, first - 1))
if runs == '' then return {given, 0, now} end

local run

-- Of too many the oldest goes that no node runs: else trying out some new ones would drive out what most nodes run.
local function drop_one(kind, versions)
  run = run or run_now(announced)
  local place = #versions
  while place > 1 and run[kind .. '\n' .. versions[place][1]] do place = place - 1 end
  table.remove(versions, place > 1 and place or #versions)
end

-- One that is known keeps its place, so a node of the old version that starts again announces nothing newer.
local function announce(kind, digest, definition)
  local stored = redis.call('HGET', kinds, kind)
  -- Most nodes announce the newest: only when it was seen changes then, without reading the rest.
  local known, rest = string.match(stored or '', '^(%[%["' .. digest .. '",%d+,)%d+(,.*)$')
  if known then
    redis.call('HSET', kinds, kind, known .. now .. rest)
    return 0
  end
  if not stored and redis.call('HLEN', kinds) > tonumber(kinds_kept) then return 1 end
  local versions, is_known = versions_of(stored), false
  for _, version in ipairs(versions) do
    if version[1] == digest then is_known, version[3] = true, now end
  end
  if not is_known then table.insert(versions, 1, {digest, now, now, definition}) end
  while #versions > tonumber(versions_kept) do drop_one(kind, versions) end
  redis.call('HSET', kinds, kind, cjson.encode(versions))
  return 0
end

redis.call('HSET', announced, node, runs)
if first > #ARGV then return {given, 0, now} end
redis.call('HSET', kinds, '', now .. '.' .. given)
local refused = 0
for at = first, #ARGV, 3 do refused = refused + announce(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
return {given, refused, now}
