#!lua flags=allow-oom
-- Stops a key of a limit for a while, for everybody; then its rate lets in one, and the next one a turn later.
-- KEYS  limits, stops, tat, dueroom
-- ARGV  name, claim, wait_ms
-- USES  stem, clock, limits
-- Returns 1
local till = now + tonumber(wait_ms)
redis.call('ZREMRANGEBYSCORE', stops, '-inf', now)
redis.call('ZADD', stops, 'GT', till, claim)
redis.call('ZADD', dueroom, till, claim)
local limit = definition(name)
if limit and limit.rate then
  local each = (limit.rate.per_seconds or 1) * 1000000 / limit.rate.units
  local used = till * 1000 + each * (burst_of(limit.rate) - 1)
  redis.call('SET', tat, string.format('%.0f', used), 'PX', math.ceil(used / 1000 - now) + 1000)
end
return 1
