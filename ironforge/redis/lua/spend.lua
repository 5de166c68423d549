#!lua
-- Takes tokens from buckets, by the server's clock: from all of them or, when one has too few, from none.
-- KEYS  buckets: hashes of tokens `t` and time `at` (ms)
-- ARGV  want, paid, then per bucket: tokens per second, capacity
--       tokens to take, tokens that were taken before for the same
-- USES  clock
-- Returns {0} or {number of the short bucket, tokens it has (rounded down), ms until it has enough}
local left = {}
want, paid = tonumber(want), tonumber(paid)
for at, key in ipairs(KEYS) do
  local rate, capacity = tonumber(ARGV[2 * at + 1]), tonumber(ARGV[2 * at + 2])
  local held = redis.call('HMGET', key, 't', 'at')
  local tokens = tonumber(held[1]) or capacity
  local passed = math.max(0, now - (tonumber(held[2]) or now))
  tokens = math.min(capacity, tokens + passed * rate / 1000)
  local needed = math.min(want + paid, capacity) - paid
  if tokens < needed then
    return {at, math.floor(tokens), math.ceil((needed - tokens) * 1000 / rate)}
  end
  -- A batch that is larger than the bucket may come when it is full, and then leaves a debt.
  left[at] = tokens - want
end
for at, key in ipairs(KEYS) do
  local rate, capacity = tonumber(ARGV[2 * at + 1]), tonumber(ARGV[2 * at + 2])
  redis.call('HSET', key, 't', tostring(left[at]), 'at', now)
  redis.call('PEXPIRE', key, math.ceil((capacity - left[at]) * 1000 / rate) + 1000)
end
return {0}
