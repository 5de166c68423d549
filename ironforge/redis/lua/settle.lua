#!lua flags=allow-oom
-- Ends jobs where MULTI cannot: when memory is full, for work must be able to leave a full server; and where somebody may
-- have ended them already, for only here that can be seen. Each is counted by whoever takes it off its stream. The stream
-- and not the pending list: that is gone when somebody has destroyed the group, and the jobs end here all the same.
-- KEYS  fence, index, then every key that the commands touch
-- ARGV  epoch, jobs, then per job: id, stream and entry as the index says them, number of its commands, these; then commands
--         that belong to no job; per command: number of its words, its words; XDEL comes first but for XACK
-- Returns how many of the jobs were still there; as MULTI does, it runs the commands behind one that fails
local ended, failed, at = 0, nil, 3

local function run(name, words)
  local reply = redis.pcall(name, unpack(ARGV, at + 2, at + words))
  if type(reply) == 'table' and reply.err then
    failed = failed or reply
    return 0
  end
  return reply
end

local function end_job(id, place, commands)
  local there, elsewhere = false, false
  for _ = 1, commands do
    local words, name = tonumber(ARGV[at]), ARGV[at + 1]
    if name == 'XDEL' then
      there = run(name, words) > 0
      local found = not there and redis.call('HGET', index, id)
      elsewhere = found and string.sub(found, 2) ~= place
      if there then ended = ended + 1 end
    -- Who ended it first has said how. What was put somewhere else meanwhile is not this attempt's to end.
    -- To its workflow that has told it as well.
    elseif not elsewhere and (there or name ~= 'HINCRBY' and not string.match(ARGV[at + 2], '}:advance$')) then
      run((there or name ~= 'HSET') and name or 'HSETNX', words)
    end
    at = at + 1 + words
  end
end

for _ = 1, tonumber(jobs) do
  at = at + 3
  end_job(ARGV[at - 3], ARGV[at - 2], tonumber(ARGV[at - 1]))
end
while at < #ARGV do
  local words = tonumber(ARGV[at])
  run(ARGV[at + 1], words)
  at = at + 1 + words
end
return failed or ended
