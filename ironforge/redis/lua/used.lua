#!lua flags=allow-oom
-- Corrects what a job was taken to use of a rate. What is more than the burst allows stops the key until it is worked off.
-- KEYS  limits, stops, tat, dueroom, room
-- ARGV  name, claim, more
--       more: units, below 0 when fewer were used
-- USES  stem, clock, limits
-- Returns 1, or 0: the limit has no rate
local limit = definition(name)
if not limit or not limit.rate then return 0 end
local each = (limit.rate.per_seconds or 1) * 1000000 / limit.rate.units
local most = micros() + each * burst_of(limit.rate)
local used = math.max(micros(), tonumber(redis.call('GET', tat) or 0)) + tonumber(more) * each
if used > most then
  local till = now + math.ceil((used - most) / 1000)
  redis.call('ZADD', stops, 'GT', till, claim)
  redis.call('ZADD', dueroom, till, claim)
  used = till * 1000 + each * burst_of(limit.rate)
end
redis.call('SET', tat, string.format('%.0f', used), 'PX', math.max(1, math.ceil(used / 1000 - now)) + 1000)
redis.call('SADD', room, claim)
return 1
