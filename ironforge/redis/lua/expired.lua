#!lua flags=allow-oom
-- Finds jobs that were to have started by now and wait. Whoever is told of them cancels them: others are told only when that
-- has not happened for some time.
-- KEYS  expiries, index, parked
-- ARGV  most, bytes, again_ms, then pairs of id and moment: what has been seen to, where no other moment holds since
--       most: jobs to look at; bytes: of records to return, roughly; again_ms: when to look again at what is still there
-- USES  stem, clock, pending, next_tick
-- Returns the time, 1 when there are more of them, else 0, what `next_look` says, then of each job: id, the moment at which it is
--         looked at again, where it is, its record
for at = 4, #ARGV, 2 do
  if redis.call('ZSCORE', expiries, ARGV[at]) == ARGV[at + 1] then redis.call('ZREM', expiries, ARGV[at]) end
end

local reply, left, again = {now, 0, next_look(now)}, tonumber(bytes), string.format('%.0f', now + again_ms)
for _, id in ipairs(redis.call('ZRANGE', expiries, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  local location = redis.call('HGET', index, id)
  local running, record = false, nil
  if location and location ~= 'd' then running, record = seen_at(id, location) end
  if running or record then
    redis.call('ZADD', expiries, again, id)
  else
    redis.call('ZREM', expiries, id)
  end
  if record and not running then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, again, location, record
    left = left - #record
    if left <= 0 then break end
  end
end
local following = redis.call('ZRANGE', expiries, 0, 0, 'WITHSCORES')
if following[2] and tonumber(following[2]) <= now then reply[2] = 1 end
return reply
