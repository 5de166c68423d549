#!lua flags=allow-oom
-- An event has been copied to all shards: from now on it expires, unless it is still about to wake its waiters.
-- KEYS  event, wake, copies
-- ARGV  name, value
-- USES  clock, expire_event
-- Returns nothing
local there = redis.call('GET', event)
if there and there ~= value then return end
redis.call('SREM', copies, name)
local till = string.match(value, '^(%d+):')
if there and till and not redis.call('ZSCORE', wake, 'e:' .. name) then expire_event(event, till, now) end
