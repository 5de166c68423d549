#!lua
-- Sends an event, unless one of its name is there: the first one counts. While it has waiters, or has to be copied to other
-- shards, it does not expire.
-- KEYS  event, waiters, wake, copies, eventbytes
-- ARGV  channel, name, payload, keep_ms, shards
-- USES  clock, keep_event
-- Returns 1, or 0 when one was there
if redis.call('EXISTS', event) == 1 then return 0 end
local till, is_held = now + tonumber(keep_ms), false
local value = string.format('%.0f:', till) .. payload
redis.call('SET', event, value)
keep_event(eventbytes, event, value, till, now)
if redis.call('EXISTS', waiters) == 1 then
  redis.call('ZADD', wake, now, 'e:' .. name)
  redis.call('PUBLISH', channel, 'due:0')
  is_held = true
end
if tonumber(shards) > 1 then
  redis.call('SADD', copies, name)
  is_held = true
end
if not is_held then redis.call('PEXPIRE', event, keep_ms) end
return 1
