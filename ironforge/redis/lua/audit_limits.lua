#!lua flags=allow-oom
-- Looks after some keys of limits: a holder whose job is gone goes, a head that could run stands among the turns, and a key
-- that no job uses is forgotten, and that it was throttled, once it is stopped no longer. Stops that are over go.
-- KEYS  fence, index, parked, in_use, stops, probes, dueroom, room, looked
-- ARGV  epoch, then `<limit>\n<key>` of some
-- USES  stem, limits, holders, admission, turns, places, lines, enqueue
-- Returns how many holders were lost, and how many heads stood nowhere
local lost, unannounced = 0, {}
-- For how long the last look is known: far longer than an installation rests.
local DAY_MS = 86400000

-- When the clock has gone back, keys are stopped, and looked at, no later than the old one would have done.
local now = math.floor(micros() / 1000)
local back = (tonumber(redis.pcall('GET', looked)) or now) - now
if back > 0 then
  for _, times in ipairs({stops, dueroom}) do
    for _, key in ipairs(redis.call('ZRANGE', times, 0, -1)) do redis.call('ZINCRBY', times, -back, key) end
  end
end
redis.call('SET', looked, now, 'PX', DAY_MS)
-- Of any key: one that used more than its burst may be in use no more when its stop is over.
redis.pcall('ZREMRANGEBYSCORE', stops, '-inf', now)
for at = 2, #ARGV do
  local key = ARGV[at]
  -- One of the wrong type has none; other keys are looked after all the same.
  for _, id in ipairs(redis.pcall('ZRANGE', stem .. 'holders:' .. key, 0, 199)) do
    if redis.call('HEXISTS', index, id) == 0 then
      -- One below 0 is that of a dead job whose retention is over: it was to be waited for until then.
      if tonumber(redis.call('ZSCORE', stem .. 'holders:' .. key, id)) >= 0 then lost = lost + 1 end
      redis.call('ZREM', stem .. 'holders:' .. key, id)
      redis.call('SADD', room, key)
      freed = true
    end
  end
  if redis.call('SISMEMBER', room, key) == 0 and not redis.call('ZSCORE', stem .. 'dueroom', key) then
    unannounced[#unannounced + 1] = key
  end
end
local forgotten = offer_all(unannounced)
enqueued(parked)
for at = 2, #ARGV do
  local key = ARGV[at]
  if is_unused(key) and not redis.call('ZSCORE', stops, key) then redis.call('ZREM', probes, key) end
  forget_unused(key)
end
return {lost, forgotten}
