#!lua flags=allow-oom
-- Looks after jobs that wait for a time or an event: one whose event is there, or that its event would not find, and what
-- stands among those that wait and does not. They are put where they belong, so that what wakes jobs finds them.
-- KEYS  fence, index, wake
-- ARGV  epoch, what, then ids
--       what they wait for: `sleep` or `event`
-- USES  stem, clock, family, waits
-- Returns how many were stranded
local stranded = 0

local function is_lost(id)
  local location, wait = redis.call('HGET', index, id) or '', wait_of(id)
  -- Damage, which whoever made it has to mend.
  if wait.broken or wait.event ~= '' and wrong_type({stem .. 'event:' .. wait.event, stem .. 'eventwaiters:' .. wait.event}) then
    return false
  end
  if string.sub(location, 1, 1) ~= 'w' or wait.what ~= what then
    -- It is due now, and then what wakes jobs finds what is wrong with it.
    local score = redis.call('ZSCORE', stem .. 'waiting:' .. what, id)
    if not score or tonumber(score) <= now then return false end
    redis.call('ZADD', stem .. 'waiting:' .. what, now, id)
    return true
  end
  if what == 'sleep' then return false end
  local waiters = stem .. 'eventwaiters:' .. wait.event
  local is_there, score = redis.call('EXISTS', stem .. 'event:' .. wait.event) == 1, redis.call('ZSCORE', stem .. 'waiting:event', id)
  if not score or tonumber(score) <= now then return false end
  if is_there and redis.call('ZSCORE', wake, 'e:' .. wait.event) and redis.call('SISMEMBER', waiters, id) == 1 then return false end
  if is_there then
    -- Whoever wakes them lets the event go as well.
    redis.call('SADD', waiters, id)
    redis.call('ZADD', wake, now, 'e:' .. wait.event)
    return true
  end
  return redis.call('SADD', waiters, id) == 1
end

for at = 3, #ARGV do
  if is_lost(ARGV[at]) then stranded = stranded + 1 end
end
return stranded
