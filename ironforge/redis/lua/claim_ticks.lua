#!lua flags=allow-oom
-- Names schedules that tick soon, each to one caller: others are told only when that has not fired it for some time.
-- KEYS  ticks, schedules, upcoming
-- ARGV  most, bytes, ahead_ms, again_ms
--       bytes: of what they say to return, roughly; ahead_ms: how soon; again_ms: how long after that others are told
-- USES  stem, clock, next_tick
-- Returns the time, what `next_tick` says of the others, then of each schedule: name, what it says, where it is ('': that is lost)
local reply, left = {now, -1}, tonumber(bytes)
local found = redis.call('ZRANGE', ticks, '-inf', now + ahead_ms, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
for at = 1, #found, 2 do
  local name = found[at]
  local said = redis.call('HGET', schedules, name)
  if said then
    redis.call('ZADD', ticks, string.format('%.0f', math.max(now, tonumber(found[at + 1])) + again_ms), name)
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = name, said, redis.call('HGET', upcoming, name) or ''
    left = left - #said
    if left <= 0 then break end
  else
    redis.call('ZREM', ticks, name)
    redis.call('HDEL', upcoming, name)
  end
end
reply[2] = next_tick(now)
return reply
