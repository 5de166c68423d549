#!lua flags=allow-oom
-- Copies an event from the shard that decided on it. It may be repeated, and come late.
-- KEYS  event, waiters, wake, eventbytes
-- ARGV  channel, name, value, till
--       value: as it stands there; till: when it expires (ms)
-- USES  clock, keep_event
-- Returns 1, or 0 when an older one of this name is still about to wake its waiters: try again
local there = redis.call('GET', event)
if there == value then return 1 end
local older = tonumber(string.match(there or '', '^%d+'))
if older and older > tonumber(till) then return 1 end
if there and redis.call('ZSCORE', wake, 'e:' .. name) then return 0 end
if redis.call('EXISTS', waiters) == 1 then
  redis.call('SET', event, value)
  keep_event(eventbytes, event, value, tonumber(till), now)
  redis.call('ZADD', wake, now, 'e:' .. name)
  redis.call('PUBLISH', channel, 'due:0')
elseif tonumber(till) > now then
  redis.call('SET', event, value, 'PX', string.format('%.0f', till - now))
  keep_event(eventbytes, event, value, tonumber(till), now)
end
return 1
