#!lua flags=no-writes
-- Counts every job of a shard where it is, all at one moment: none that lives is missed or counted twice.
-- KEYS  scheduled, dead, totals, paused, queues, parked, unserved, versionlines, schedules, ticks, upcoming, pauses, problems
-- ARGV  bytes, heads, overdue_ms, endings, then as many endings of streams, then those of lines
--       bytes that may be read for ages, jobs of a line to name, after how long a tick is overdue
-- USES  stem, clock, present, kind_line
-- Returns the time, scheduled, dead, totals and paused as the server gives them, the names of queues, per stream
--         that is not empty: name, jobs, those of them that run, when the first of the others came into it (ms, -1: none,
--         or not looked at), and per line that is not empty: name, jobs, those of them that a limit keeps out, ids of the first
--         (none where looking at them would be too much), then where jobs were declined: name, jobs, and of the first lines of
--         kinds there: name, id of the first job; then schedules: all, paused ones, those that start no job, those whose tick
--         is overdue, when the next one fires (ms, -1: none); then jobs that wait for a time, an event, their children, and workflows; then
--         the lines of kinds whose jobs stay with a version of the application: name, jobs
-- So many lines of kinds are looked at for the oldest of their jobs: those that have waited for the longest for a node.
local LINES = 100
local names = redis.call('SMEMBERS', queues)
local left = tonumber(bytes)
local last = 4 + tonumber(endings)
local streams, lines = {}, {}

-- How many run, and the time of the first that does not.
local function progress(stream, length)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  local running, read = 0, '-'
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == 'nodes' then running, read = group[6], '(' .. group[8] end
  end
  if running >= length or left <= 0 then return running, -1 end
  local head = redis.call('XRANGE', stream, read, '+', 'COUNT', 1)[1]
  if not head then return running, -1 end
  for _, word in ipairs(head[2]) do left = left - #word end
  return running, tonumber(string.match(head[1], '^%d+'))
end

for _, queue in ipairs(names) do
  for at = 5, present(stem .. 'q:', queue, 5, last) and last or 0 do
    local stream = stem .. 'q:' .. queue .. ARGV[at]
    local length = redis.call('XLEN', stream)
    if length > 0 then
      local running, since = progress(stream, length)
      local n = #streams
      streams[n + 1], streams[n + 2], streams[n + 3], streams[n + 4] = queue .. ARGV[at], length, running, since
    end
  end
  for _, word in ipairs({'fair:', 'behind:'}) do
    for at = last + 1, present(stem .. word, queue, last + 1, #ARGV) and #ARGV or 0 do
      local line = stem .. word .. queue .. ARGV[at]
      local length = redis.call('ZCARD', line)
      if length > 0 then
        local n = #lines
        lines[n + 1], lines[n + 2], lines[n + 3] = queue .. ARGV[at], length, word == 'behind:' and length or 0
        lines[n + 4] = {}
        for _, id in ipairs(redis.call('ZRANGE', line, 0, tonumber(heads) - 1)) do
          left = left - redis.call('HSTRLEN', parked, id)
          if left > 0 then table.insert(lines[n + 4], id) end
        end
      end
    end
  end
end
local declined, firsts = {}, {}
if redis.call('EXISTS', unserved) == 1 then
  for _, queue in ipairs(names) do
    for at = last + 1, present(stem .. 'declined:', queue, last + 1, #ARGV) and #ARGV or 0 do
      local length = redis.call('ZCARD', stem .. 'declined:' .. queue .. ARGV[at])
      if length > 0 then declined[#declined + 1], declined[#declined + 2] = queue .. ARGV[at], length end
    end
  end
  for _, name in ipairs(redis.call('ZRANGE', unserved, 0, LINES)) do
    local place = string.match(name, '^[^:]*:%d')
    local member = place and first_of(stem .. 'declined:' .. place, kind_of(name), 1)[1]
    if member then firsts[#firsts + 1], firsts[#firsts + 2] = place, string.sub(member, -16) end
  end
end

-- Those that a process is about to fire stand behind their time, but not far.
local SOON = 100
local ticking = {redis.call('HLEN', schedules), 0, 0, 0, -1}
if ticking[1] > 0 then
  ticking[2] = redis.call('ZCOUNT', pauses, '(' .. now, '+inf')
  ticking[3] = redis.call('HLEN', problems)
  ticking[4] = redis.call('ZCOUNT', ticks, '-inf', now - overdue_ms)
  local soon = redis.call('ZRANGE', ticks, 0, SOON - 1)
  for _, at in ipairs(soon[1] and redis.call('HMGET', upcoming, unpack(soon)) or {}) do
    local fires = tonumber(string.match(at or '', '^[^:]*:%d+:(%d+):'))
    if fires and (ticking[5] < 0 or fires < ticking[5]) then ticking[5] = fires end
  end
end
local waiting = {}
for at, what in ipairs({'sleep', 'event', 'children', 'workflow'}) do waiting[at] = redis.call('ZCARD', stem .. 'waiting:' .. what) end
local of_versions = {}
for _, name in ipairs(redis.call('SMEMBERS', versionlines)) do
  local place, kind = string.match(name, '^[^:]*:%d'), kind_of(name)
  if kind then
    local n = #of_versions
    of_versions[n + 1] = name
    of_versions[n + 2] = redis.call('ZLEXCOUNT', stem .. 'declined:' .. place, '[' .. kind .. '\n', '(' .. kind .. '\11')
  end
end
-- A workflow that failed lies among them, and is no job that was submitted.
local failed = redis.pcall('ZCARD', stem .. 'workflows:dead')
local dead_jobs = redis.call('ZCARD', dead) - (type(failed) == 'number' and failed or 0)
return {now, redis.call('ZCARD', scheduled), dead_jobs, redis.call('HGETALL', totals),
  redis.call('SMEMBERS', paused), names, streams, lines, declined, firsts, ticking, waiting, of_versions}
