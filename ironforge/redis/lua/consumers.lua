#!lua flags=no-writes
-- Who reads the streams of all queues, and what each of them runs, at one moment.
-- KEYS  nodes, roster, queues, announced
-- ARGV  most, bytes, then endings of streams
--       most running jobs of each consumer to name, bytes that may be read for that
-- USES  stem, clock, present
-- Returns the time, the nodes with their leases, the roster, what they announced (nothing when no job is to be named), then
--         per stream and consumer: stream, consumer, how many it runs, and of each job that is named: entry, ms since it was
--         delivered, the beginning of its record
most, bytes = tonumber(most), tonumber(bytes)
local found, named = {}, {}

local function runs(stream, consumer, pending)
  local rows = {}
  local left = math.min(pending, most - (named[consumer] or 0))
  if left <= 0 or bytes <= 0 then return rows end
  for _, row in ipairs(redis.call('XPENDING', stream, 'nodes', '-', '+', left, consumer)) do
    local entry = redis.call('XRANGE', stream, row[1], row[1])[1]
    if entry and bytes > 0 then
      local n = #rows
      bytes = bytes - #entry[2][2]
      rows[n + 1], rows[n + 2], rows[n + 3] = row[1], row[3], string.sub(entry[2][2], 1, 300)
    end
  end
  named[consumer] = (named[consumer] or 0) + #rows / 3
  return rows
end

for _, queue in ipairs(redis.call('SMEMBERS', queues)) do
  for at = 3, present(stem .. 'q:', queue, 3, #ARGV) and #ARGV or 0 do
    local stream = stem .. 'q:' .. queue .. ARGV[at]
    -- An error here says that there is no such stream, or that it has no group.
    local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, 'nodes')
    for _, consumer in ipairs(consumers.err and {} or consumers) do
      local n = #found
      found[n + 1], found[n + 2], found[n + 3] = queue .. ARGV[at], consumer[2], consumer[4]
      found[n + 4] = runs(stream, consumer[2], consumer[4])
    end
  end
end
return {now, redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES'), redis.call('HGETALL', roster),
  most > 0 and redis.call('HGETALL', announced) or {}, found}
