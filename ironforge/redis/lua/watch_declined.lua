#!lua flags=allow-oom
-- Watches over the lines of kinds. They are measured by the time for which nodes have watched, and not by the clock: one that
-- jumps, or days without any node, do not make a line look unserved.
-- KEYS  fence, unserved, nodes, roster, announced
-- ARGV  epoch, limit_ms, gap_ms, lines, jobs, then the lines that the caller serves
--       limit_ms: for how long a line may be unserved (0: for ever); gap_ms: most that counts between two calls; lines, jobs:
--         most to return, and of each
-- USES  stem, clock, kind_line
-- Returns for each line that was unserved for too long: its name, its score, records of its first jobs
if redis.call('EXISTS', unserved) == 0 then return {} end
local before = tonumber(redis.call('ZSCORE', unserved, 'at') or now)
local watch = tonumber(redis.call('ZSCORE', unserved, '') or 0) + math.max(0, math.min(now - before, tonumber(gap_ms)))
redis.call('ZADD', unserved, watch, '', now, 'at')
for at = 6, #ARGV do redis.call('ZADD', unserved, 'XX', watch, ARGV[at]) end
if limit_ms == '0' then return {} end

-- What is true of a node that did not say: it may serve any queue, and run any kind.
local function said(hash, member)
  local known, told = pcall(cjson.decode, redis.call('HGET', hash, member) or '')
  return known and type(told) == 'table' and told or nil
end

local nodes_alive
local function served(name)
  local queue, kind, version = string.match(name, '^([^:]*):%d:([^:@]*)@?([^:]*)')
  nodes_alive = nodes_alive or redis.call('ZRANGE', nodes, '(' .. now, '+inf', 'BYSCORE')
  for _, node in ipairs(nodes_alive) do
    local about, runs = said(roster, node), said(announced, node)
    local serves = not (about and type(about.queues) == 'table')
    for _, each in ipairs(serves and {} or about.queues) do serves = serves or each == queue end
    local same = about and type(about.same) == 'table' and about.same[kind]
    local fits = version == '' or not same or same == version
    if serves and fits and not (runs and runs[kind] == nil) then return true end
  end
  return false
end

local late = {}
local found = redis.call('ZRANGE', unserved, '-inf', watch - tonumber(limit_ms), 'BYSCORE', 'LIMIT', 0, lines, 'WITHSCORES')
for at = 1, #found, 2 do
  local name = found[at]
  if kind_of(name) and served(name) then
    redis.call('ZADD', unserved, watch, name)
  elseif kind_of(name) then
    local ids = {}
    for _, member in ipairs(first_of(stem .. 'declined:' .. string.match(name, '^[^:]*:%d'), kind_of(name), jobs)) do
      ids[#ids + 1] = string.sub(member, -16)
    end
    local n = #late
    late[n + 1], late[n + 2] = name, found[at + 1]
    late[n + 3] = #ids > 0 and redis.call('HMGET', stem .. 'parked', unpack(ids)) or {}
  end
end
return late
