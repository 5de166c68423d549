#!lua flags=allow-oom
-- What handlers say of keys of limits: that their targets throttle, and what their jobs really used of rates. What is more than
-- the burst allows stops a key until it is worked off.
-- KEYS  fence, room, stops, probes, dueroom
-- ARGV  epoch, then for each: claim, wait_ms, more
--       claim: limit and key; wait_ms: for how long it is throttled (0: it is not); more: units, below 0 when fewer were used
-- USES  stem, limits, holders
-- Returns 1
local function correct(limit, key, more)
  local each = each_of(limit.rate)
  local burst, tat = each * burst_of(limit.rate), stem .. 'tat:' .. key
  local stored = redis.pcall('GET', tat)
  if type(stored) == 'table' then return end
  local used = math.max(micros(), tonumber(stored or 0) or 0) + more * each
  if used > micros() + burst then
    local till = math.ceil((used - burst) / 1000)
    redis.call('ZADD', stem .. 'stops', 'GT', till, key)
    redis.call('ZADD', stem .. 'dueroom', till, key)
    used = till * 1000 + burst
  end
  redis.call('SET', tat, string.format('%.0f', used), 'PX', math.max(1, math.ceil((used - micros()) / 1000)) + 1000)
  if more < 0 then
    redis.call('SADD', room, key)
    freed = true
  end
end

for at = 2, #ARGV, 3 do
  local key, wait_ms, more = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local limit = definition(string.match(key, '^[^\n]*'))
  if wait_ms > 0 then throttle(key, math.ceil(micros() / 1000) + wait_ms) end
  if more ~= 0 and limit and limit.rate then correct(limit, key, more) end
end
tell_of_room()
return 1
