#!lua flags=no-writes
-- Measures what a shard keeps, at one moment.
-- KEYS  index, scheduled, dead, parked, unserved, buckets, queues
-- ARGV  endings, then as many endings of streams, then those of lines
-- USES  stem, present, family, parts, progress, size, journals, clock
-- Returns the jobs that have not ended, those that are scheduled or wait for a time, an event or their children, those that
--         are dead, bytes as the server estimates, and nodes of workflows that have not started
local bytes, last = 0, 1 + tonumber(endings)
for at = 1, 5 do bytes = bytes + size(KEYS[at]) end
for _, bucket in ipairs(redis.call('ZRANGE', buckets, 0, -1)) do bytes = bytes + size(bucket) end
-- What parents know of their children; of many parents only some are looked at.
local parents, some = redis.pcall('ZCARD', stem .. 'families'), redis.pcall('ZRANDMEMBER', stem .. 'families', 1000)
for _, parent in ipairs(some) do
  for _, word in ipairs({'children:', 'results:'}) do
    bytes = bytes + size(stem .. word .. hex(parent)) * parents / #some
  end
end
-- Nor at each workflow: of those that live, are dead or have ended.
local function look_at_some(ids, most)
  local all, some = redis.pcall('ZCARD', ids), redis.pcall('ZRANDMEMBER', ids, most)
  for _, workflow in ipairs(some) do
    for _, key in ipairs(parts_of(workflow)) do bytes = bytes + size(key) * all / #some end
  end
end
look_at_some(stem .. 'waiting:workflow', 200)
look_at_some(stem .. 'workflows:dead', 100)
local each = redis.call('ZRANGE', buckets, 0, -1)
for _, bucket in ipairs(each) do
  look_at_some(stem .. 'workflows:' .. string.match(bucket, '}:(.*)$'), math.ceil(200 / #each))
end
bytes = bytes + journal_bytes(index, each)
-- Events, by the hour in which they expire.
local by_hour = redis.pcall('HGETALL', stem .. 'eventbytes')
for at = 1, #by_hour, 2 do
  if (tonumber(by_hour[at]) or 0) >= math.floor(now / 3600000) then bytes = bytes + (tonumber(by_hour[at + 1]) or 0) end
end
-- Nor at all of those that live for nodes whose jobs are still to come: at the same ones each time, evenly spread.
local WORKFLOWS, WORK = 1000, 4 * 1024 * 1024
local FIND = 64

-- How many, and what finding that out took, as bytes. Those that run are found by their letter, not by a look at each node.
local function unstarted_of(workflow)
  local found = redis.pcall('GET', stem .. 'progress:' .. hex(workflow))
  if type(found) ~= 'string' or #found < HEAD then return 0, 0 end
  local unstarted, work, at = read_head(found).left, #found, string.find(found, 'r', HEAD + 1, true)
  while at do
    if (at - HEAD) % 4 == 1 then unstarted = unstarted - 1 end
    work, at = work + FIND, string.find(found, 'r', at + 1, true)
  end
  return math.max(0, unstarted), work
end

local function unstarted_nodes(waiting)
  local all, found, looked, work = redis.pcall('ZCARD', waiting), 0, 0, 0
  local step = type(all) == 'number' and math.ceil(all / WORKFLOWS) or 0
  if step == 0 then return 0 end
  for rank = 0, all - 1, step do
    local unstarted, more = unstarted_of(redis.call('ZRANGE', waiting, rank, rank)[1])
    found, looked, work = found + unstarted, looked + 1, work + more
    if work > WORK then break end
  end
  return math.floor(found * all / looked + 0.5)
end

for _, queue in ipairs(redis.call('SMEMBERS', queues)) do
  for at = 2, present(stem .. 'q:', queue, 2, last) and last or 0 do
    bytes = bytes + size(stem .. 'q:' .. queue .. ARGV[at])
  end
  for _, word in ipairs({'fair:', 'turns:', 'behind:', 'declined:'}) do
    for at = last + 1, present(stem .. word, queue, last + 1, #ARGV) and #ARGV or 0 do
      bytes = bytes + size(stem .. word .. queue .. ARGV[at])
    end
  end
end
local aside = redis.call('ZCARD', scheduled)
for _, what in ipairs({'sleep', 'event', 'children', 'workflow'}) do
  local waiting = stem .. 'waiting:' .. what
  aside, bytes = aside + redis.call('ZCARD', waiting), bytes + size(waiting)
end
return {redis.call('HLEN', index), aside, redis.call('ZCARD', dead), math.floor(bytes), unstarted_nodes(stem .. 'waiting:workflow')}
