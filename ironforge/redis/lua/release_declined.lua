#!lua flags=allow-oom
-- Lets any version of the application go on with declined jobs that stay with one: they wait in the line of their kind.
-- KEYS  index, parked, unserved, versionlines, declined
-- ARGV  channel, name, then per job: id, its record as it was seen, its record from now on
--       name of the line where they wait
-- USES  stem, kind_line, vacate
-- Returns how many of them were still there
local kind, goal = kind_of(name), string.gsub(name, '@[^:]*', '')
local moved = 0
for at = 3, #ARGV, 3 do
  local id = ARGV[at]
  if redis.call('HGET', parked, id) == ARGV[at + 1] and redis.call('ZREM', declined, kind .. '\n' .. id) == 1 then
    local mark = mark_of_declined(redis.call('HGET', index, id))
    redis.call('ZADD', declined, 0, kind_of(goal) .. '\n' .. id)
    redis.call('HSET', parked, id, ARGV[at + 2])
    redis.call('HSET', index, id, 'k:' .. goal .. (mark ~= '' and '\n' .. mark or ''))
    moved = moved + 1
  end
end
if moved > 0 then
  redis.call('ZADD', unserved, 'NX', redis.call('ZSCORE', unserved, '') or 0, goal)
  vacate(unserved, declined, name)
  redis.call('PUBLISH', channel, 'room:')
end
return moved
