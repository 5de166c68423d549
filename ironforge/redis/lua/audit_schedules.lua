#!lua flags=allow-oom
-- Looks after some schedules: one that has lost its next tick is looked at now, and one that nothing would look at for that, or not
-- in time, is looked at then. What is left of one that is gone goes.
-- KEYS  schedules, ticks, upcoming
-- ARGV  cursor, page, again_ms
--       cursor: `<in schedules>:<in upcoming>`, as it was returned, at first 0:0; page: about how many; again_ms: see `claim_ticks`
-- USES  clock
-- Returns the next cursor, and how many were mended
local in_schedules, in_upcoming = string.match(cursor, '^(%d+):(%d+)$')
local mended = 0
local found = redis.call('HSCAN', schedules, in_schedules, 'COUNT', page)
for at = 1, #found[2], 2 do
  local name = found[2][at]
  local next_one, fires = string.match(redis.call('HGET', upcoming, name) or '', '^[^:]*:(%d*):(%d*):')
  fires = tonumber(fires) or now
  local look = tonumber(redis.call('ZSCORE', ticks, name) or math.huge)
  if not next_one or next_one ~= '' and look > math.max(now, fires) + again_ms then
    redis.call('ZADD', ticks, string.format('%.0f', fires), name)
    mended = mended + 1
  end
end
local planned = redis.call('HSCAN', upcoming, in_upcoming, 'COUNT', page)
for at = 1, #planned[2], 2 do
  if redis.call('HEXISTS', schedules, planned[2][at]) == 0 then
    redis.call('HDEL', upcoming, planned[2][at])
    mended = mended + 1
  end
end
return {found[1] .. ':' .. planned[1], mended}
